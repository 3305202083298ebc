"""Commands whose start costs seconds, started as copies of a process that has loaded it all."""
