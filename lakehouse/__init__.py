"""The lake: contracts, storage, control database, privacy, training sets and the `eta` command."""
