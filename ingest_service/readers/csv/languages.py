"""Letters beyond ASCII by language, and the encodings that texts in them are usually written in.

The evidence by which `detection` compares encodings. Lower case; `common` letters are those that
some tens of words show, `rare` ones are the others that belong to the language.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Language:
    """A language's own letters."""

    common: frozenset[str]
    rare: frozenset[str] = frozenset()

    @property
    def letters(self) -> frozenset[str]:
        """All of them."""
        return self.common | self.rare


def _language(common: str, rare: str = "") -> Language:
    return Language(frozenset(common), frozenset(rare) - frozenset(common))


WESTERN: Final = (
    _language("éèàê", "çùûîôâïëœüæ"),  # French
    _language("äöüß"),  # German
    _language("áéíóñ", "úü"),  # Spanish, Galician, Basque
    _language("ãçáéí", "âàêóôõúü"),  # Portuguese
    _language("àèéìòù", "îíúó"),  # Italian
    _language("ëéïö", "èóü"),  # Dutch
    _language("æøå", "éòôèüäö"),  # Danish, Norwegian
    _language("åäö", "éàüšž"),  # Swedish, Finnish
    _language("áéíóúýþæöð"),  # Icelandic, Faroese
    _language("àèéíóç", "ïòúü"),  # Catalan
    _language("äöõü", "šž"),  # Estonian
    _language("ëç"),  # Albanian
    _language("âêîôûáéíóú", "àèìòùäëïöü"),  # Welsh, Irish, Gaelic
)
CENTRAL: Final = (
    _language("ąćęłńóśźż"),  # Polish
    _language("áčéěíňřšůýž", "ďóťú"),  # Czech
    _language("áčďéíľňšťúýž", "äĺóôŕ"),  # Slovak
    _language("áéíóöőúüű"),  # Hungarian
    _language("áčďéěíňřšťůýž", "äľĺóôŕú"),  # Czech and Slovak
    _language("čšž"),  # Slovene
    _language("čćđšž"),  # Croatian, Bosnian, Serbian
    _language("ăâîşţ", "șț"),  # Romanian
    WESTERN[1],
)
TURKISH: Final = (_language("çğıöşü", "âîûİ"),)
SOUTHERN: Final = (
    *TURKISH,
    _language("ċġħż", "àèìòù"),  # Maltese
    _language("ĉĝĥĵŝŭ"),  # Esperanto
)
BALTIC: Final = (
    _language("ąčęėįšųūž"),  # Lithuanian
    _language("āčēģīķļņšūž", "ōŗ"),  # Latvian
    _language("ąčęėįšųūžāēģīķļņ", "ōŗ"),  # both
    _language("ąćęłńóōôśźż", "ãõ"),  # Polish, Silesian
    WESTERN[10],
)
NORDIC: Final = (
    *BALTIC,
    _language("áčđŋšŧžåäö", "æøâ"),  # Sami
    _language("âêîôûãĩũ", "áíúæøå"),  # Greenlandic
    *WESTERN[6:9],
)
CELTIC: Final = (
    _language("âêîôûŵŷ", "áéíóúẃýàèìòùẁỳäëïöüẅÿ"),  # Welsh
    _language("áéíóúḃċḋḟġṁṗṡṫ"),  # Irish in its older spelling
)
VIETNAMESE: Final = (_language("ăâđêôơư\u0300\u0301\u0303\u0309\u0323", "áàéèíóòúùýãõ"),)
CYRILLIC: Final = (_language("оеаинтсрвлкмдпуя", "бгжзйфхцчшщъыьэюёіїєґўђѓјљњћќџѕѝ"),)
GREEK: Final = (_language("αοιετσνηυρπκμλςάόίέ", "βγδζθξφχψωήύώϊϋΐΰ"),)
HEBREW: Final = (_language("".join(map(chr, range(0x5D0, 0x5EB)))),)
ARABIC: Final = (
    _language("ابتدرسعفقلمنهويةأ", "".join(map(chr, range(0x621, 0x64B))) + "پچژگکیٹڈڑںھہے"),
)
THAI: Final = (_language("".join(map(chr, range(0xE01, 0xE4F)))),)

LATIN: Final = {
    "cp1252": WESTERN,
    "cp1250": CENTRAL,
    "cp1254": TURKISH,
    "iso8859-15": WESTERN,
    "iso8859-2": CENTRAL,
    "cp1257": BALTIC,
    "mac-roman": WESTERN,
    "cp850": WESTERN,
    "cp852": CENTRAL,
    "iso8859-16": CENTRAL,
    "iso8859-9": TURKISH,
    "iso8859-13": BALTIC,
    "iso8859-4": NORDIC,
    "iso8859-3": SOUTHERN,
    "iso8859-10": NORDIC,
    "iso8859-14": CELTIC,
    "cp1258": VIETNAMESE,
    "cp857": TURKISH,
    "cp775": BALTIC,
    "cp437": WESTERN,
    "cp858": WESTERN,
    "cp865": WESTERN,
    "mac-latin2": (*CENTRAL, *BALTIC),
    "mac-turkish": TURKISH,
    "mac-iceland": WESTERN,
}
"""Encodings of Latin letters, the likelier first."""

OTHER_SCRIPTS: Final = {
    "cp1251": CYRILLIC,
    "koi8-r": CYRILLIC,
    "koi8-u": CYRILLIC,
    "cp866": CYRILLIC,
    "iso8859-5": CYRILLIC,
    "mac-cyrillic": CYRILLIC,
    "cp855": CYRILLIC,
    "cp1253": GREEK,
    "iso8859-7": GREEK,
    "cp737": GREEK,
    "mac-greek": GREEK,
    "cp1255": HEBREW,
    "iso8859-8": HEBREW,
    "cp862": HEBREW,
    "cp1256": ARABIC,
    "iso8859-6": ARABIC,
    "cp874": THAI,
}
EAST_ASIAN: Final = ("cp949", "cp932", "euc_jp", "gb18030", "big5", "big5hkscs", "johab")
