"""What senders call an interaction, and what it is to the tenant: a type that it has."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from lakehouse.contracts.kinds import InteractionType

SKIP: Final = "skip"
"""What a value map says of rows that are no interaction of the contract."""

_WORDS: Final = {
    InteractionType.VIEW: "view views viewed pv pageview pageviews productview productviewed "
    "viewitem itemview itemviewed detail details detailview productdetail productdetailview "
    "detailproductview viewproduct viewcontent contentview impressionview visit visited read "
    "seen show open watch watched play played listen listened ansicht angesehen vue vu vista "
    "visto visualizacion visualizzazione bekeken",
    InteractionType.CLICK: "click clicks clicked productclick productclicked selectitem "
    "selectcontent itemclick tap tapped klick geklickt clic clique cliccato klik",
    InteractionType.PURCHASE: "purchase purchases purchased buy buys bought order orders ordered "
    "orderplaced ordercompleted transaction transactions sale sales sold checkoutcompleted "
    "paid payment conversion kauf gekauft bestellung bestellt achat achete commande compra "
    "comprado acquisto acquistato koop gekocht aankoop zakup",
    InteractionType.LIKE: "like likes liked fav favs favorite favorites favourite favourites "
    "favorited wishlist addtowishlist wish bookmark bookmarked save saved star starred love "
    "thumbsup upvote follow recommend share shared gefallt merken merkzettel aime megusta "
    "mipiace leuk positive pos",
    InteractionType.DISLIKE: "dislike dislikes disliked thumbsdown downvote notinterested hide "
    "hidden block report gefalltnicht negative neg",
}
_SKIPPED: Final = (
    "cart addtocart addcart carted addedtocart productadded basket addtobasket addtobag "
    "removefromcart removecart cartremove productremoved warenkorb indenwarenkorb panier "
    "ajoutpanier carrito carrello winkelwagen remove begincheckout beginchekout checkout "
    "checkoutstarted impression impressions viewitemlist viewpromotion search session_start "
    "sessionstart firstvisit scroll login logout signup refund refunded cancel cancelled "
    "returned"
)
_MEANINGS: Final = {
    word: kind.value for kind, words in _WORDS.items() for word in words.split()
} | dict.fromkeys(_SKIPPED.split(), SKIP)
_HINTS: Final = (
    (
        InteractionType.PURCHASE,
        r"purchase|order|buy|bought|sale|sold|lineitem|transaction|invoice"
        r"|kauf|bestell|achat|commande|compra",
    ),
    (InteractionType.CLICK, r"click|klick|clic"),
    (InteractionType.LIKE, r"like|favo|wish|bookmark"),
    (InteractionType.VIEW, r"view|visit|watch|play|listen|read"),
)
CONTRACT: Final = tuple(kind.value for kind in InteractionType)
"""The types of a tenant that has declared none."""
_RATING: Final = re.compile(r"\d{1,3}(?:\.\d+)?")


def meaning_of(word: str) -> str | None:
    """Return the contract's type that a word means, `skip` for what is none, None for unknown."""
    return _MEANINGS.get(_plain(word))


def _plain(word: str) -> str:
    return re.sub(r"[\W_]+", "", word).lower()


def _spelled(types: Iterable[str]) -> dict[str, str]:
    return {_plain(name): name for name in types}


def known_share(words: Sequence[str], types: Collection[str] = CONTRACT) -> float:
    """Return which share of different words is known."""
    own = _spelled(types)
    known = sum(_plain(word) in own or meaning_of(word) is not None for word in words)
    return known / len(words) if words else 0.0


def value_map(
    words: Iterable[str], types: Collection[str] = CONTRACT
) -> tuple[dict[str, str], list[str]]:
    """Return words → types, of those that are no type themselves; and unknown words.

    `types` are those that the tenant has; a word that is one of them, however spelled, is that one.
    """
    own = _spelled(types)
    mapped, unknown = {}, []
    for word in words:
        meaning = own.get(_plain(word)) or meaning_of(word)
        if meaning is None or (meaning != SKIP and meaning not in types):
            unknown.append(word)
        elif meaning != word:
            mapped[word] = meaning
    return mapped, unknown


def constant_from(hints: Iterable[str]) -> str | None:
    """Return the type that names (of the file, of its columns) speak of, None for none."""
    text = " ".join(re.sub(r"[^a-z]+", "", hint.lower()) for hint in hints)
    return next((kind.value for kind, pattern in _HINTS if re.search(pattern, text)), None)


def rating_map(ratings: Iterable[str]) -> dict[str, str] | None:
    """Return rating → type for a scale of 1, 5, 10 or 100; None where they are no ratings.

    The upper two fifths are a like, the middle a view, the lower two fifths a dislike.
    """
    seen = sorted(set(ratings), key=lambda text: (len(text), text))
    if not seen or len(seen) > 101 or any(_RATING.fullmatch(text) is None for text in seen):
        return None
    numbers = {float(text) for text in seen}
    top = next((top for top in (1, 5, 10, 100) if max(numbers) <= top), None)
    if top is None or numbers <= {1.0}:  # ones alone are a count as well as a rating
        return None
    texts = dict.fromkeys(seen)
    decimals = any("." in text for text in seen)
    step = 0.5 if any(number % 1 for number in numbers) else 1
    if top <= 10 and step * round(min(numbers) / step) == min(numbers):
        count = round(top / step)
        texts |= dict.fromkeys(
            f"{n * step:.1f}" if decimals else str(n) for n in range(1, count + 1)
        )
    ordered = sorted(texts, key=float, reverse=True)
    return {text: _rated(float(text) / top) for text in ordered}


def _rated(share: float) -> str:
    if share > 0.7:
        return InteractionType.LIKE.value
    return InteractionType.VIEW.value if share > 0.5 else InteractionType.DISLIKE.value
