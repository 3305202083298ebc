"""Encodings of one byte per character are read by a guess only when nothing contradicts it.

`TITLES` is the measured set: titles of a catalogue in 27 languages, each written in the encodings
that its files come in. No file made of them may be read to other texts than were written.
"""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.readers.csv.detection import encoding_candidates, guess_encoding

WESTERN: Final = ("cp1252", "iso8859-15", "mac-roman", "cp850")
CENTRAL: Final = ("cp1250", "iso8859-2", "cp852", "iso8859-16")
BALTIC: Final = ("cp1257", "iso8859-13", "iso8859-4", "cp775")
TURKISH: Final = ("cp1254", "iso8859-9", "cp857")
CYRILLIC: Final = ("cp1251", "koi8-u", "cp866", "iso8859-5", "mac-cyrillic")

TITLES: Final = {
    "German": (
        "Größe 38 für Männer|Gürtel aus Büffelleder|Schlüsselanhänger|Kühltasche|Süße Bärchen|"
        "Weiße Socken|Öl für Ölöfen|Übergröße|Straßenschuhe|Fußbälle – 3 Stück|"
        "Tür­schließer|Café-Stühle|"
        "Mützen & Schals|Nähmaschine|Rührschüssel|10 € Gutschein|Dvd „Heimat“|Jubiläum|"
        "Drähte|Lätzchen",
        WESTERN + CENTRAL,
    ),
    "French": (
        "Robe d’été légère|Crème brûlée à la vanille|Déjà vu|Garçon – où ça|Chemise à carreaux|"
        "Sac à main rayé|Chaîne en argent|Château gonflable|Forêt enchantée|Mère et père|"
        "Prêt-à-porter|"
        "Écharpe à pois|Façade|Théière|Cœur en chocolat|Noël à la fête|Bébé|"
        "Hôtel de poupée|Île dorée",
        WESTERN,
    ),
    "Spanish": (
        "Pantalón de niño|Camión de juguete|Lámpara de salón|Cinturón marrón|"
        "Bañera de bebé|Té verde|"
        "Música clásica|Jardín pequeño|Corazón|Año nuevo|¿Qué hora es?|Teléfono móvil|"
        "Día de campo",
        WESTERN,
    ),
    "Portuguese": (
        "Calção de banho|Pão de ló|Botões de algodão|Cinto de couro|São João|"
        "Relógio à prova d’água|"
        "Lâmpada de mesa|Três peças|Coleção verão|Maçã verde|Ténis para crianças|Avô e avó|Fogão",
        WESTERN,
    ),
    "Italian": (
        "Caffè in grani|Più colori|Qualità superiore|Città d’arte|Perché no|Lunedì|"
        "Virtù e verità|Tè verde|"
        "Però|Novità|È arrivato|Papà|Tiramisù|Cioè|Menù del giorno|Comò antico|Trovò|"
        "Così fan tutte|Libertà",
        WESTERN,
    ),
    "Dutch": (
        "Ideeën|Zoë’s jurk|Coöperatie|Geërfd|Één maat|Tweeënveertig|Poëzie|Australië",
        WESTERN,
    ),
    "Danish": ("Rød kjole|Blå sko|Børnetøj|Æbler|Øreringe|Læder støvler|Grå trøje|Får", WESTERN),
    "Swedish": (
        "Röd klänning|Blå skor|Barnkläder|Äpplen|Örhängen|Läder stövlar|Grå tröja",
        WESTERN,
    ),
    "Finnish": ("Kengät|Hääpuku|Pöytä|Käsilaukku|Syödä|Šakki|Näyttö|Tyttöjen mekko", WESTERN[:2]),
    "Icelandic": (
        "Rauður kjóll|Skór fyrir börn|Þykk peysa|Eyrnalokkar|Síður jakki|Hálsmen",
        WESTERN,
    ),
    "Catalan": (
        "Camisa de nen|Sabó|Pantaló curt|Anell d’or|Cançó|Món petit|Què és això|Paella",
        WESTERN,
    ),
    "English": (
        "Women’s shoes|Men’s “slim” jeans|Kids’ toys – blue|Café table|Jalapeño|£5 off",
        WESTERN,
    ),
    "Polish": (
        "Żółta książka|Śliwki węgierki|Buty męskie|Łóżko dziecięce|Koszula w kratę|Dżem|"
        "Zażółć gęślą jaźń|"
        "Sukienka łódzka|Będę|Kępa|Ręcznik|Płaszcz|Miś pluszowy|Rękawice|Świeca|Ćwiczenia|Pióro",
        CENTRAL,
    ),
    "Czech": (
        "Dětské boty|Žluté tričko|Dvořák|Červený kabát|Hračky pro děti|Říčanský čaj|"
        "Lůžko|Kůň|Něco|"
        "Příbor|Měsíc|Šaty|Sůl a pepř|Čepice|Zimní bunda|Peněženka|Klíče|Stůl|Židle|"
        "Rám na obrázek",
        CENTRAL,
    ),
    "Slovak": (
        "Detské topánky|Žltá košeľa|Červený kabát|Hračky|Ľudové piesne|Stôl a stolička|"
        "Päť|Kľúče|Kŕmidlo|"
        "Dážďnik|Šaty pre dievčatá|Čiapka|Mäkká hračka|Posteľ|Kôň|Tričko|Náušnice",
        CENTRAL,
    ),
    "Hungarian": (
        "Hűtőszekrény|Mosógép és szárítógép|Női cipő|Férfi kabát|Gyűrű|Könyv|Függöny|"
        "Ágynemű|Esernyő|Szőnyeg|"
        "Tükör|Bőrönd|Fülbevaló|Sütő|Körző",
        CENTRAL,
    ),
    "Slovene": ("Otroški čevlji|Rdeča majica|Žoga|Copati za vrt|Ključi|Miza in stol|Čaj", CENTRAL),
    "Croatian": (
        "Dječje cipele|Žuta košulja|Ključevi|Đački ruksak|Kaput|Čaša|Naušnice|Kuća",
        CENTRAL,
    ),
    "Romanian": (
        "Cămaşă albă|Pantofi bărbaţi|Rochie în dungi|Ceaşcă|Umbrelă|Masă şi scaun",
        CENTRAL,
    ),
    "Turkish": (
        "Kadın ayakkabı|Çocuk elbisesi yeşil|Işık|Gömlek|Kırmızı şapka|Yağmurluk|İpek",
        TURKISH,
    ),
    "Lithuanian": (
        "Vaikiški batai|Raudona suknelė|Šalikas|Žaislai|Kėdė ir stalas|Auskarų dėžutė",
        BALTIC,
    ),
    "Latvian": (
        "Bērnu apavi|Sarkana kleita|Šalle|Rotaļlietas|Krēsls un galds|Kurpes vīriešiem",
        BALTIC,
    ),
    "Estonian": ("Lasteriided|Kõrvarõngad|Punane kleit|Jõulud|Käekott|Tüdrukute püksid", BALTIC),
    "Russian": (
        "Детская обувь|Красное платье|Шапка|Ключи|Стол и стул|Серьги с камнем|Ёлка",
        CYRILLIC,
    ),
    "Ukrainian": ("Дитяче взуття|Їжа для котів|Ґудзики|Стіл і стілець|Плаття", CYRILLIC[:2]),
    "Greek": ("Παιδικά παπούτσια|Κόκκινο φόρεμα|Καπέλο|Κλειδιά|Τραπέζι", ("cp1253", "iso8859-7")),
    "Hebrew": ("נעלי ילדים|שמלה אדומה|כובע|מפתחות", ("cp1255", "iso8859-8")),
    "Arabic": ("أحذية أطفال|فستان أحمر|قبعة|مفاتيح", ("cp1256", "iso8859-6")),
    "Thai": ("รองเท้าเด็ก|ชุดเดรสสีแดง|หมวก|กุญแจ", ("cp874",)),
    "Japanese": ("子供の靴|赤いドレス|帽子|Tシャツ 大人用|テーブルと椅子", ("cp932", "euc_jp")),
    "Chinese": ("儿童鞋子|红色连衣裙|帽子|钥匙|桌子和椅子", ("gb18030",)),
    "Chinese, Taiwan": ("兒童鞋子|紅色連衣裙|帽子|鑰匙", ("big5",)),
    "Korean": ("여성 신발|빨간 원피스|모자|열쇠|책상과 의자", ("cp949",)),
}


def written(folder: Path, titles: list[str], encoding: str) -> tuple[Path, list[str]]:
    """A catalogue of these titles, those of them that the encoding can write."""
    able = [t for t in titles if t.encode(encoding, "ignore").decode(encoding) == t]
    path = folder / "items.csv"
    rows = "".join(f'i{n},"{title}"\n' for n, title in enumerate(able))
    path.write_bytes(f"item_id,title\n{rows}".encode(encoding))
    return path, able


def is_read_wrong(path: Path, encoding: str) -> bool:
    """Whether the file would be read, and to other texts than were written."""
    data = path.read_bytes()
    guess = guess_encoding(path).encoding
    if guess is None or data.isascii():
        return False
    return data.decode(guess.name, "replace") != data.decode(encoding)


@pytest.mark.parametrize("language", TITLES)
def test_no_title_and_no_catalogue_is_read_wrong(tmp_path: Path, language: str) -> None:
    text, encodings = TITLES[language]
    titles = text.split("|")
    for encoding in encodings:
        for part in ([title] for title in titles):
            path, _ = written(tmp_path, part, encoding)
            assert not is_read_wrong(path, encoding), (encoding, part)
        path, _ = written(tmp_path, titles, encoding)
        assert not is_read_wrong(path, encoding), encoding


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_catalogues_of_two_languages_are_not_read_wrong(
    tmp_path: Path, data: st.DataObject
) -> None:
    encoding = data.draw(st.sampled_from(WESTERN + CENTRAL + BALTIC + TURKISH))
    languages = [name for name, (_, encodings) in TITLES.items() if encoding in encodings]
    both = data.draw(st.lists(st.sampled_from(languages), min_size=1, max_size=2))
    titles = [title for name in both for title in TITLES[name][0].split("|")]
    some = data.draw(st.lists(st.sampled_from(titles), min_size=1, max_size=30))
    path, _ = written(tmp_path, some, encoding)
    assert not is_read_wrong(path, encoding)


@pytest.mark.parametrize("language", ["German", "French", "Spanish", "Portuguese", "English"])
def test_western_catalogues_are_read(tmp_path: Path, language: str) -> None:
    path, _ = written(tmp_path, TITLES[language][0].split("|"), "cp1252")
    guess = guess_encoding(path).encoding
    assert guess is not None
    assert guess.name == "cp1252"


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        *[
            (language, "cp1250")
            for language in ("Polish", "Czech", "Slovak", "Hungarian", "Romanian")
        ],
        *[("Turkish", "cp1254"), ("Latvian", "cp1257"), ("Lithuanian", "cp1257")],
        *[("Russian", "cp1251"), ("Russian", "koi8-r"), ("Russian", "cp866")],
        *[("Greek", "cp1253"), ("Hebrew", "cp1255"), ("Arabic", "cp1256"), ("Thai", "cp874")],
        *[("Japanese", "cp932"), ("Japanese", "euc_jp"), ("Korean", "cp949")],
        *[("Chinese", "gb18030"), ("Chinese, Taiwan", "big5")],
        *[("German", "mac-roman"), ("French", "cp850"), ("German", "cp850")],
    ],
)
def test_suggestion_begins_with_the_right_encoding(
    tmp_path: Path, language: str, encoding: str
) -> None:
    path, _ = written(tmp_path, TITLES[language][0].split("|"), encoding)
    guess = guess_encoding(path)
    assert guess.encoding is None
    assert guess.likely[:1] == (encoding,)
    sample = encoding_candidates(path)[0].sample
    assert not sample.isascii()
    assert sample in path.read_bytes().decode(encoding)


def test_byte_far_behind_the_sample_counts(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    german = "item_id,title\n" + "i,Größe für Männer\n" * 8_000
    path.write_bytes(german.encode("cp1252") + b"\xa4 10 Gutschein\n")
    assert guess_encoding(path).encoding is None
