"""The page: what people see in a browser. Its files are sent as they are; everything else happens in the browser."""
