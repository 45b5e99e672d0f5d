"""Who holds addresses: from tables that the user has, and from registries by RDAP."""
