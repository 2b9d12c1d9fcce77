"""What the views of the page share: the person who visits, templates, forms and answers."""
