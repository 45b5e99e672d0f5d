"""What changed in the traffic, found without a hint: `find.events`."""
