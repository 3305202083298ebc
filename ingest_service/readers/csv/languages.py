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
BALTIC: Final = (
    _language("ąčęėįšųūž"),  # Lithuanian
    _language("āčēģīķļņšūž", "ōŗ"),  # Latvian
    _language("ąčęėįšųūžāēģīķļņ", "ōŗ"),  # both
    WESTERN[10],
)
CYRILLIC: Final = (_language("оеаинтсрвлкмдпуя", "бгжзйфхцчшщъыьэюёіїєґўђѓјљњћќџѕѝ"),)
GREEK: Final = (_language("αοιετσνηυρπκμλςάόίέ", "βγδζθξφχψωήύώϊϋΐΰ"),)
HEBREW: Final = (_language("".join(map(chr, range(0x5D0, 0x5EB)))),)
ARABIC: Final = (
    _language("ابتدرسعفقلمنهويةأ", "".join(map(chr, range(0x621, 0x64B))) + "پچژگکیٹڈڑںھہے"),
)
THAI: Final = (_language("".join(map(chr, range(0xE01, 0xE4F)))),)

LATIN: Final = {
    "cp1252": WESTERN,
    "iso8859-15": WESTERN,
    "cp1250": CENTRAL,
    "cp1254": TURKISH,
    "iso8859-2": CENTRAL,
    "cp1257": BALTIC,
    "mac-roman": WESTERN[:9],
    "cp850": WESTERN[:9],
    "cp852": CENTRAL,
    "cp857": TURKISH,
}
"""Encodings of Latin letters, the likelier first."""

OTHER_SCRIPTS: Final = {
    "cp1251": CYRILLIC,
    "koi8-r": CYRILLIC,
    "koi8-u": CYRILLIC,
    "cp866": CYRILLIC,
    "iso8859-5": CYRILLIC,
    "mac-cyrillic": CYRILLIC,
    "cp1253": GREEK,
    "iso8859-7": GREEK,
    "cp1255": HEBREW,
    "cp1256": ARABIC,
    "cp874": THAI,
}
EAST_ASIAN: Final = ("cp949", "cp932", "euc_jp", "gb18030", "big5")
