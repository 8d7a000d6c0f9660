"""A folder that is a package, so that its files may have the names of those of other folders."""
