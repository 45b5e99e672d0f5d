"""Generated tables (ports, countries); each names the script that made it."""
