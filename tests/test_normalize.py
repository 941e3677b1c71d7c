"""What is written, and what a listener should hear. Capitals are letters that are spelled: GPS."""

from __future__ import annotations

import random
import sys
import unicodedata

import pytest

from edge_tts.frontend.english.normalize import normalize
from edge_tts.frontend.english.pronounce import Pronouncer
from edge_tts.frontend.english.units import UNITS, plural
from edge_tts.frontend.normalize import clean

TABLE = """
# numbers
I have 0 apples, 1 pear and 21 plums. => i have zero apples , one pear and twenty one plums
1000000 => one million
12,345 visitors => twelve thousand three hundred forty five visitors
1 000 000 people => one million people
1.000.000 => one million
-7 degrees => minus seven degrees
It is −12 °C => it is minus twelve degrees celsius
+3 => plus three
0.05 => zero point zero five
.75 => zero point seven five
100.0 => one hundred point zero
007 => zero zero seven
1,000.50 => one thousand point five zero
20,5 °C => twenty point five degrees celsius
1,2,3 => one , two , three
1500 steps => one thousand five hundred steps
1000000000 => one billion
12345678901 => one two three four five six seven eight nine zero one
10^30 => ten to the thirtieth
2^8 => two to the eighth
5² => five squared
1e6 => one times ten to the sixth
1.5e-3 => one point five times ten to the minus third
Level -1 => level minus one
# ordinals, years, decades
1st 2nd 3rd 4th 11th 22nd 100th 1,000th => first second third fourth eleventh twenty second one hundredth one thousandth
1999 => nineteen ninety nine
2005 => two thousand five
2026 => twenty twenty six
1900 => nineteen hundred
in 1492 => in fourteen ninety two
the 1990s and the 1900s => the nineteen nineties and the nineteen hundreds
the '80s => the eighties
90's music => nineties music
2020-2025 => twenty twenty to twenty twenty five
the 30s => the thirties
wait 30s => wait thirty seconds
# fractions, ranges, ratios
1/2 => one half
2/3 of it => two thirds of it
5/8 inch => five eighths inch
1 1/2 hours => one and a half hours
¼ turn => one quarter turn
2½ hours => two and a half hours
⅞ => seven eighths
24/7 => twenty four seven
50/50 => fifty fifty
10/10 => ten out of ten
7/11 => seven slash eleven
5-10 => five to ten
pages 12-15 => pages twelve to fifteen
5–10 minutes => five to ten minutes
10-20% => ten to twenty percent
5%-10% => five to ten percent
3.5-4.5 V => three point five to four point five volts
5 m - 10 m => five to ten meters
5 m to 10 km => five meters to ten kilometers
-40°C to +85°C => minus forty degrees celsius to plus eighty five degrees celsius
16:9 => sixteen to nine
4x4 => four by four
1920x1080 => nineteen twenty by ten eighty
5 cm x 3 cm => five centimeters by three centimeters
2x faster => two times faster
# money
$5 => five dollars
$1 => one dollar
$0 => zero dollars
$0.99 => ninety nine cents
$19.99 => nineteen dollars and ninety nine cents
$1.50 => one dollar and fifty cents
$1,234.56 => one thousand two hundred thirty four dollars and fifty six cents
$1.2 million => one point two million dollars
$3M => three million dollars
$5-10 => five to ten dollars
-$20 => minus twenty dollars
$5/h => five dollars per hour
US$20 => twenty dollars
USD 15 => fifteen dollars
15 USD => fifteen dollars
€9.99 => nine euros and ninety nine cents
20 € => twenty euros
£1 => one pound
£0.01 => one penny
£2.50 => two pounds and fifty pence
¥1000 => one thousand yen
₹100 => one hundred rupees
5¢ => five cents
# times
14:05 => fourteen oh five
12:00 => twelve o'clock
12:30 => twelve thirty
1:05 => one oh five
00:00 => midnight
14:00 => fourteen hundred
23:59 => twenty three fifty nine
09:00 => nine o'clock
10:00 a.m. => ten AM
2:30 pm => two thirty PM
2:30PM => two thirty PM
7am => seven AM
7 a.m. => seven AM
12:30:45 => twelve thirty and forty five seconds
9am-5pm => nine AM to five PM
9-5 pm => nine to five PM
10:30-11:45 am => ten thirty to eleven forty five AM
from 9:00 to 17:00 => from nine o'clock to seventeen hundred
9:00-17:00 => nine o'clock to seventeen hundred
UTC+2 => UTC plus two
GMT-5 => GMT minus five
# dates
2026-11-20 => november twentieth , twenty twenty six
2026-11-20T14:05:00Z => november twentieth , twenty twenty six at fourteen oh five UTC
11/20/2026 => november twentieth , twenty twenty six
20/11/2026 => november twentieth , twenty twenty six
20.11.2026 => november twentieth , twenty twenty six
3-4-2026 => march fourth , twenty twenty six
1/2/26 => january second , twenty twenty six
20 Nov 2026 => november twentieth , twenty twenty six
20 November => november twentieth
Nov. 3rd => november third
Nov 3 => november third
November 20, 2026 => november twentieth , twenty twenty six
Nov 2026 => november twenty twenty six
the 4th of July, 2026 => the fourth of july , twenty twenty six
July 4th, 1776 => july fourth , seventeen seventy six
Mon, 3 May => monday , may third
Sat. at noon => saturday at noon
May I go? => may i go
Q3 2026 => Q three twenty twenty six
# units
85% => eighty five percent
0.5 % => zero point five percent
5 kg => five kilograms
1 kg => one kilogram
1 g => one gram
5 km/h => five kilometers per hour
60 mph => sixty miles per hour
3 m/s => three meters per second
9.81 m/s² => nine point eight one meters per second squared
20 m² => twenty square meters
5 m^3 => five cubic meters
5 kg/m³ => five kilograms per cubic meter
25 m => twenty five meters
5 M => five M
5M users => five million users
10 mm => ten millimeters
5 µm => five micrometers
220 V => two hundred twenty volts
1 V => one volt
3.3V => three point three volts
500 mV => five hundred millivolts
2 A => two amps
500 mA => five hundred milliamps
60 W => sixty watts
5 kWh => five kilowatt hours
5000 mAh => five thousand milliamp hours
50Hz => fifty hertz
2.4 GHz => two point four gigahertz
20 dB => twenty decibels
3000 rpm => three thousand RPM
5 l/min => five liters per minute
1013 hPa => one thousand thirteen hectopascals
32 psi => thirty two PSI
512 MB => five hundred twelve megabytes
16 GB => sixteen gigabytes
100 Mbps => one hundred megabits per second
5 s => five seconds
1 s => one second
10ms => ten milliseconds
5 min => five minutes
1 min => one minute
3 h => three hours
2h 30m => two hours thirty minutes
1 h 5 min => one hour five minutes
68 °F => sixty eight degrees fahrenheit
20°C => twenty degrees celsius
45° => forty five degrees
300 K => three hundred kelvin
4K => four K
10 ft => ten feet
1 ft => one foot
5 lbs => five pounds
8 oz => eight ounces
6in => six inches
5 in stock => five in stock
100 Ω => one hundred ohms
10 kΩ => ten kilohms
500 ml => five hundred milliliters
5 t => five tons
a 5-minute walk => a five minute walk
a 10 km run => a ten kilometer run
5'11" => five feet eleven inches
12V/5A => twelve volts five amps
in km/h => in kilometers per hour
in kWh => in kilowatt hours
# telephone numbers
+1 555-123-4567 => plus one , five five five , one two three , four five six seven
(555) 123-4567 => five five five , one two three , four five six seven
555-1234 => five five five , one two three four
1-800-555-0199 => one , eight hundred , five five five , zero one nine nine
0800 123 456 => zero eight zero zero , one two three , four five six
+49 30 1234567 => plus four nine , three zero , one two three four five six seven
030/123456 => zero three zero , one two three four five six
call 911 => call nine one one
dial 112 => dial one one two
# versions, addresses, codes
v2.1.3 => version two point one point three
v2 => version two
version 1.0 => version one point zero
Python 3.11 => python three point one one
2.1.3 => two point one point three
192.168.1.10 => one nine two dot one six eight dot one dot ten
10.0.0.255:8080 => ten dot zero dot zero dot two five five port eighty eighty
192.168.0.0/24 => one nine two dot one six eight dot zero dot zero slash twenty four
00:1A:2B:3C:4D:5E => zero zero , one A , two B , three C , four D , five E
0xFF => zero X F F
Gate B12 => gate B twelve
A4 => A four
seat 3C => seat three C
R2D2 => R two D two
C-3PO => C three PO
AB-1234 => AB twelve thirty four
1080p => ten eighty P
5G => five G
MP3 => MP three
ESP32 => ESP thirty two
H.264 => H two sixty four
x86 => X eighty six
COVID-19 => covid nineteen
F-16 => F sixteen
AB12CD34EF => A B one two , C D three four , E F
room 101 => room one oh one
Room B-204 => room B two oh four
flight 815 => flight eight fifteen
Flight UA 1523 => flight UA fifteen twenty three
gate A3 => gate A three
bus 42 => bus forty two
code 1234 => code one two three four
PIN 0042 => pin zero zero four two
GPIO17 => GPIO seventeen
H2O => H two O
# e-mail, URLs, files
info@example.com => info at example dot com
john.doe42@mail.example.org => john dot doe forty two at mail dot example dot org
www.example.com => WWW dot example dot com
https://example.com/help?x=1 => example dot com slash help question mark X equals one
http://192.168.1.1:8080/status => one nine two dot one six eight dot one dot one port eighty eighty slash status
config.toml => config dot toml
/etc/edge-tts/config.toml => slash etc slash edge dash TTS slash config dot toml
read_me.txt => read underscore me dot TXT
node.js => node dot JS
.NET => dot net
# acronyms and capitals
GPS => GPS
the USB port => the USB port
NASA => nasa
MQTT broker => MQTT broker
TTS => TTS
GPUs => GPU's
the CPU's fan => the CPU's fan
the GPUs' fans => the GPU's fans
LED => LED
in the US => in the US
join us => join us
IT department => IT department
STOP => stop
STOP THE ROBOT NOW => stop the robot now
WARNING: LOW BATTERY => warning : low battery
GO TO GATE B => go to gate B
ROS node => ros node
LiDAR => lidar
JSON file => json file
PhD => PHD
U.S. => US
U.S.A. => USA
AT&T => AT and T
R&D => R and D
# abbreviations
Dr. Smith => doctor smith
Mr. and Mrs. Jones => mister and missus jones
Ms. Lee => miz lee
Prof. Brown => professor brown
123 Main St. => one hundred twenty three main street
St. Mary => saint mary
St. Mary St. => saint mary street
Elm Dr. => elm drive
5th Ave. => fifth avenue
approx. 5 => approximately five
cats vs. dogs => cats versus dogs
cats vs dogs => cats versus dogs
No. 5 => number five
no. 7 => number seven
No 5 => number five
No, thanks. => no , thanks
there is no 5 => there is no five
Apple Inc. => apple incorporated
Smith Jr. => smith junior
Fig. 3 => figure three
p. 12 => page twelve
pp. 3-5 => pages three to five
Vol. 2 => volume two
ext. 42 => extension forty two
w/ milk => with milk
w/o sugar => without sugar
N/A => not applicable
and/or => and or
e.g. this => for example this
i.e. that => that is that
tea, coffee, etc. => tea , coffee , et cetera
min. 5, max. 10 => minimum five , maximum ten
# Roman numerals and letters
Henry VIII => henry the eighth
Louis XIV => louis the fourteenth
Elizabeth I => elizabeth the first
chapter IV => chapter four
World War II => world war two
Part I => part one
Rocky II => rocky two
I am => i am
Plan A => plan A
vitamin C => vitamin C
A robot => a robot
press A => press A
x axis => X axis
an IV drip => an IV drip
# joined words
snake_case => snake case
camelCase => camel case
WiFi => wifi
Wi-Fi => wifi
edgeTTS => edge TTS
YouTube => youtube
robot-arm => robot arm
state-of-the-art => state of the art
e-mail => email
x-ray => X ray
T-shirt => T shirt
mother-in-law => mother in law
iPhone => iphone
C++ => C plus plus
C# => C sharp
# symbols
black & white => black and white
#1 => number one
#robot => hashtag robot
@home => at home
2 + 2 = 4 => two plus two equals four
5 - 3 = 2 => five minus three equals two
5*3 => five times three
7 × 8 => seven times eight
9 ÷ 3 => nine divided by three
x = y => X equals Y
a < b => A less than B
5 >= 3 => five greater than or equal to three
±5 => plus or minus five
A → B => A to B
A -> B => A to B
~5 minutes => approximately five minutes
x² + y³ => X squared plus Y cubed
π is 3.14 => pi is three point one four
α and β => alpha and beta
50 ° => fifty degrees
a/b test => A slash B test
© 2026 => copyright twenty twenty six
§ 5 => section five
# quotes, brackets, marks, markup
“quoted” text => quoted text
(in brackets) done => in brackets , done
one — two => one , two
one - two => one , two
one -- two => one , two
wait... what => wait , what
Hello!!! World??? => hello , world
it’s => it's
don't => don't
five o'clock => five o'clock
rock 'n' roll => rock and roll
the dogs' bowls => the dogs bowls
James's => james's
**bold** and *italic* => bold and italic
`code` => code
# Heading => heading
- item one => item one
[a link](https://example.com) => a link
<b>bold</b> => bold
5 😀 cats => five cats
I ♥ you => i you
:-) hi => hi
first; second: third => first ; second : third
(one), (two) => one , two
# Unicode
café => cafe
naïve => naive
Zürich => zurich
Straße => strasse
O’Brien => o'brien
ﬁne => fine
ＡＢＣ １２ => ABC twelve
№ 5 => number five
② => two
20 ㎏ => twenty kilograms
"""
CASES = [tuple(line.split(" => ")) for line in TABLE.strip().splitlines() if " => " in line]
PRONOUNCER = Pronouncer()


def spoken(text: str) -> str:
    return " ".join(normalize(text, PRONOUNCER.is_word))


@pytest.mark.parametrize(("written", "expected"), CASES, ids=[written for written, _ in CASES])
def test_is_read_as_people_say_it(written: str, expected: str) -> None:
    assert spoken(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("zero\u200bwidth", "zerowidth"),
        ("soft\u00adhyphen", "softhyphen"),
        ("10\u00a0kg", "ten kilograms"),
        ("1\u202f000\u202f000", "one million"),
        ("cafe\u0301", "cafe"),
        ("bell\u0007 and \u202eoverride", "bell and override"),
        ("3\u2032 board", "three feet board"),
    ],
)
def test_invisible_and_combining_characters(written: str, expected: str) -> None:
    assert spoken(written) == expected


@pytest.mark.parametrize(
    "written", ["", "   ", "...", "!?", "((((", "\u2028", "---", "** __ **", "\U0001f600", "\u4f60\u597d"]
)
def test_nothing_speakable_gives_no_tokens(written: str) -> None:
    assert normalize(written, PRONOUNCER.is_word) == []


@pytest.mark.parametrize("digits", [16, 31, 120, 400])
def test_long_numbers_are_read_by_the_digit(digits: int) -> None:
    assert spoken("1" * digits) == " ".join(["one"] * digits)


def test_every_unit_is_read_in_the_singular_and_plural() -> None:
    for symbol, name in UNITS.items():
        glue = " " if symbol == "K" else ""
        assert spoken(f"1{glue}{symbol}") == f"one {name}"
        assert spoken(f"7{glue}{symbol}") == f"seven {plural(name)}"


def test_unit_names_are_words_a_voice_can_say() -> None:
    for name in UNITS.values():
        assert all(PRONOUNCER.phones(word) for word in plural(name).split())


def test_clean_leaves_plain_text_alone() -> None:
    assert clean("Plain text, with 3 marks.") == "Plain text, with 3 marks."


def test_arbitrary_text_never_raises() -> None:
    source = random.Random(20)
    assigned = [
        chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")
    ]
    dense = "0123456789.,:;/-+$%°@#&'()[]*_^~<>=xXeEkKmMvVIVX ABCabc\n\t½²€→"
    for _ in range(1500):
        alphabet = dense if source.random() < 0.8 else assigned
        text = "".join(source.choice(alphabet) for _ in range(source.randrange(1, 60)))
        tokens = normalize(text, PRONOUNCER.is_word)
        assert all(token and " " not in token for token in tokens), text
        assert all(token in ",;:" or PRONOUNCER.phones(token) for token in tokens), text
