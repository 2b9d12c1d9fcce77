"""The command line, the HTTP API and the web page. They call use cases and render the results."""
