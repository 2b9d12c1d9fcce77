"""Who asks: the command line, the HTTP API and the web page. They call use cases and render what comes back."""
