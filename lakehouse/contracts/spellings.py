"""Which contract field the name of a column means, in the spellings that files have.

Names are compared as words: without case, accents, signs and what tools add (`user_id:token`). A
name that ends in a known one (`click_article_id`, `Lineitem sku`) means it too, less surely.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

_TYPED: Final = re.compile(r":(?:token|float)(?:_seq)?$")
_BRACKETS: Final = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")

_NOT_SURE: Final = 2.0
"""Added for a name that means a field only when no other column does."""
_PER_WORD: Final = 0.5
"""Added for each word that stands before the known name."""

_SURE: Final[dict[str, str]] = {
    "user_id": "userid user uid visitorid visitor customerid customer customerno customernumber "
    "memberid member shopperid buyerid accountid viewerid reviewerid fullvisitorid userpseudoid "
    "userpseudonymid effectiveuserid clientid personid profileid readerid listenerid "
    "kunde kundenid kundennr kundennummer benutzer benutzerid nutzer nutzerid utilisateur "
    "idutilisateur idclient cliente idcliente clienteid usuario usuarioid idusuario utente "
    "idutente klant klantnummer klantid klient idklienta gebruiker",
    "item_id": "itemid item productid product sku productsku productcode itemcode itemno articleid "
    "article articleno movieid movie filmid film songid song trackid track bookid book isbn "
    "asin contentid newsid newsitemid postid videoid listingid listing objectid offerid ean gtin "
    "storyid gameid recipeid restaurantid businessid parentasin variantid variantsku stockcode "
    "artikel artikelid artikelnr artikelnummer produkt produktid produktnr produit idproduit "
    "produitid referenceproduit producto productoid idproducto prodotto idprodotto codiceprodotto "
    "produto idproduto artikelcode produktu idproduktu",
    "interaction_type": "interactiontype eventtype event eventname action actiontype behavior "
    "behaviortype behaviour behaviourtype activity activitytype ereignis ereignistyp aktion "
    "evenement typeevenement evento tipoevento accion azione gebeurtenis feedback feedbacktype",
    "timestamp": "timestamp time ts datetime eventtime eventdate eventtimestamp eventdatetime "
    "occurredat happenedat createdat clicktimestamp visittime visitstarttime orderdate ordertime "
    "purchasedate purchasedat paidat invoicedate unixreviewtime reviewtime timems timestampms "
    "unixtime epoch datehourandminute datehourminute dateandtime loggedat servertime "
    "zeit zeitpunkt zeitstempel datumzeit bestelldatum kaufdatum fechahora dataora datahora "
    "horodatage dateheure tijdstip czas",
    "rating": "rating ratings stars score overall reviewscore userrating ratingvalue bewertung "
    "sterne valoracion puntuacion punteggio voto beoordeling ocena",
    "device_type": "devicetype device devicecategory devicegroup deviceclass geraet gerat "
    "geratetyp appareil dispositivo apparaat",
    "location": "location country countrycode countryname geo geocountry land pays pais paese "
    "standort ort",
    "session_id": "sessionid session usersession visitid sessid sitzung sitzungsid idsession "
    "gasessionid",
    "event_id": "eventid eventuuid interactionid messageid insertid hitid",
    "event_name": "eventname event eventtype action name",
    "anonymous_id": "anonymousid anonid cookieid deviceid clientid visitorid",
    "url": "url pageurl pagelocation link page pagepath landingpage",
    "properties": "properties props params eventparams payload",
    "title": "title name productname itemname producttitle itemtitle movietitle filmtitle headline "
    "articletitle booktitle songtitle bezeichnung artikelbezeichnung produktname artikelname titel "
    "nom nomproduit libelle titre nombre titulo nome titolo naam nazwa description "
    "lineitemname",
    "category": "category categories categorycode categoryname categoryid productcategory "
    "itemcategory genre genres producttype itemtype department section class kategorie "
    "warengruppe produktgruppe categorie categoria categoria1 categorieid kategoria",
    "price": "price unitprice listprice saleprice itemprice productprice variantprice "
    "lineitemprice preis einzelpreis verkaufspreis vkpreis prix prixunitaire precio prezzo prijs "
    "preco cena amount",
    "available_from": "availablefrom releasedate publishedat publicationdate publishdate "
    "launchdate createdat createdatts created firstseen erscheinungsdatum verfugbarab "
    "datesortie fechalanzamiento pubdate",
    "is_active": "isactive active available isavailable enabled instock published aktiv verfugbar "
    "actif disponible attivo disponibile actief",
    "updated_at": "updatedat updated updatets lastmodified modifiedat modified lastupdate "
    "lastupdated changedat geandertam stand aktualisiert misajour timestamp",
    "attributes": "attributes attrs properties features metadata extra json",
    "consent": "consent consents consentflags consentstate einwilligung einwilligungen "
    "consentement consentimiento consenso toestemming",
}
_UNSURE: Final[dict[str, str]] = {
    "user_id": "email customeremail emailaddress deviceid cookieid cookie anonymousid sessionid "
    "session usersession visitid hash userhash client account reviewer author customername "
    "ipaddress ip",
    "item_id": "id pagepath page url pagetitle handle lineitemname productname itemname title name "
    "ref reference nummer nr code newsarticle",
    "interaction_type": "type typ tipo name kind status verb op",
    "timestamp": "date day datum tag fecha data jour when created at updatedat sessionstart week "
    "zeitangabe uhrzeit",
    "rating": "note value punkte points",
    "device_type": "platform environment os operatingsystem browser useragent",
    "location": "region city stadt ville ciudad citta state province billingcountry "
    "shippingcountry",
    "session_id": "sid visit",
    "event_id": "uuid guid",
    "category": "type brand group gruppe subcategory producttag tags",
    "available_from": "year releaseyear date",
    "price": "cost total revenue",
    "updated_at": "date time ts eventtime datetime",
}


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a column's name: lower case, without accents and signs."""
    text = _BRACKETS.sub(" ", _TYPED.sub("", name.strip())).replace("ß", "ss")
    text = unicodedata.normalize("NFKD", text)
    text = "".join(char for char in text if not unicodedata.combining(char))
    return tuple(word.lower() for word in _WORDS.findall(text))


def distance(name: str, field: str) -> float | None:
    """Return how far a column's name is from meaning a field: 0 is its name, None: it does not."""
    words = words_of(name)
    if "".join(words) == field.replace("_", ""):
        return 0.0
    for skipped, rest in _endings(words):
        for known, penalty in ((_SURE_WORDS, 0.1), (_UNSURE_WORDS, _NOT_SURE)):
            place = known.get(field, {}).get(rest)
            if place is not None and (known is _SURE_WORDS or not skipped):
                return penalty + place + skipped * _PER_WORD
    return None


def name_key(name: str) -> str:
    """Return what makes names alike: their words, written together."""
    return "".join(words_of(name))


@cache
def sure_fields() -> dict[str, frozenset[str]]:
    """Return the fields that a whole name means surely, by its key."""
    return _by_name(_SURE)


@cache
def unsure_names() -> frozenset[str]:
    """Return the keys of names that may mean a field."""
    return frozenset(_by_name(_UNSURE))


def _by_name(lists: dict[str, str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for field, names in lists.items():
        for name in names.split():
            found.setdefault(name, set()).add(field)
    return {name: frozenset(fields) for name, fields in found.items()}


def _endings(words: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield the name, and what is left of it without its first one, two, … words."""
    for skipped in range(len(words)):
        yield skipped, "".join(words[skipped:])


def _places(lists: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return for each field its names with their place in the list, from 0 to below 0.4."""
    return {
        field: {name: 0.4 * at / len(names.split()) for at, name in enumerate(names.split())}
        for field, names in lists.items()
    }


_SURE_WORDS: Final = _places(_SURE)
_UNSURE_WORDS: Final = _places(_UNSURE)
