"""How a tenant reads MovieLens 100k as it comes: ratings as interaction types, seconds, tabs."""

from lakehouse.contracts.tenant import TenantSettings

MOVIELENS = TenantSettings.model_validate(
    {
        "time_range": {"start": "1990-01-01T00:00:00Z", "end": "2030-01-01T00:00:00Z"},
        "sources": {
            "movielens": {
                "columns": {
                    "user_id": "user_id:token",
                    "item_id": "item_id:token",
                    "rating": "rating:float",
                    "interaction_type": "rating:float",
                    "timestamp": "timestamp:float",
                },
                "values": {
                    "interaction_type": {
                        "5": "like",
                        "4": "like",
                        "3": "view",
                        "2": "dislike",
                        "1": "dislike",
                    }
                },
                "timestamps": {"timestamp": {"unit": "s"}},
                "delimiter": "\t",
            }
        },
    }
)
