"""A card of a published training set: what it holds, said in figures that name nobody."""
