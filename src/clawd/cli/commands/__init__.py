"""One module a command group; a module is imported only when its command is used."""
