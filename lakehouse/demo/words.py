"""Words for titles and places for visitors."""

from typing import Final

SHOP_CATEGORIES: Final = (
    ("Tents", ("Dome Tent", "Tunnel Tent", "Tarp", "Bivy Bag"), 180.0),
    ("Sleeping Bags", ("Down Bag", "Quilt", "Liner", "Sleeping Mat"), 110.0),
    ("Backpacks", ("Daypack", "Trekking Pack", "Duffel", "Dry Bag"), 85.0),
    ("Footwear", ("Hiking Boot", "Trail Shoe", "Approach Shoe", "Sandal"), 120.0),
    ("Jackets", ("Rain Shell", "Down Jacket", "Softshell", "Windbreaker"), 140.0),
    ("Base Layers", ("Merino Shirt", "Leggings", "Socks", "Beanie"), 35.0),
    ("Climbing", ("Harness", "Rope", "Chalk Bag", "Helmet"), 60.0),
    ("Cooking", ("Gas Stove", "Cook Set", "Mug", "Spork"), 28.0),
    ("Lighting", ("Headlamp", "Lantern", "Torch"), 32.0),
    ("Navigation", ("Compass", "Map Case", "GPS Watch"), 90.0),
    ("Bottles", ("Steel Bottle", "Flask", "Water Filter"), 24.0),
    ("Cycling", ("Pannier", "Bike Light", "Repair Kit"), 40.0),
)
"""Category, its kinds of product, and its median price."""

SHOP_ADJECTIVES: Final = (
    "Alpine", "Basalt", "Cirrus", "Drift", "Ember", "Fjord", "Granite", "Horizon", "Inlet",
    "Juniper", "Kestrel", "Larch", "Meridian", "Nomad", "Osprey", "Pine", "Ridge", "Summit",
    "Tundra", "Vale",
)  # fmt: skip

NEWS_CATEGORIES: Final = (
    "politics", "business", "sport", "technology", "culture", "science", "local", "health",
    "travel", "opinion",
)  # fmt: skip

NEWS_SUBJECTS: Final = (
    "City council", "Rail operators", "Football league", "Chip makers", "Film festival",
    "Astronomers", "Hospital staff", "Harbour authority", "Start-ups", "Teachers", "Farmers",
    "Central bank", "Museum", "Energy firms", "Commuters",
)  # fmt: skip

NEWS_VERBS: Final = (
    "weigh", "delay", "welcome", "reject", "announce", "question", "back", "review", "prepare",
    "debate",
)  # fmt: skip

NEWS_OBJECTS: Final = (
    "new budget", "summer timetable", "record season", "safety rules", "price rise",
    "climate plan", "open-data pledge", "merger talks", "housing scheme", "pay deal",
    "research grant", "night service",
)  # fmt: skip

LOCATIONS: Final = (
    "Berlin, DE", "London, GB", "Paris, FR", "Madrid, ES", "Amsterdam, NL", "Vienna, AT",
    "Warsaw, PL", "Milan, IT", "Lisbon, PT", "Dublin, IE", "Oslo, NO", "Zürich, CH", "Prague, CZ",
    "Malmö, SE", "Ghent, BE",
)  # fmt: skip

DEVICES: Final = ("mobile", "desktop", "tablet")
