"""`chatbill doctor`: looks for what is wrong with the settings and around the service."""
