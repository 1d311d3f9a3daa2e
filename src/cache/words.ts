/** What English words do in a question. General lists: nothing here is about a subject. */

const set = (words: string): ReadonlySet<string> => new Set(words.split(/\s+/));

/** Words that show a text to be English: rare in the other languages of Latin script. */
export const englishEvidence = set(
  "the what how does are which who why when where should would could my your with this there from have you and for it did " +
    "that they their can please explain describe tell give write show list using about between into because of",
);

/** Words that may be there or not without making another question. */
export const neutralWords = set(
  "a an the some any there this that these those such it its so very quite just exactly actually really basically simply " +
    "simple please kindly thanks thank also what which how is am are be been being do does doing has have having would if " +
    "whether and but et",
);

/** Words that say which part the following words play. Those of one class may stand for each other. */
export const markerClasses: ReadonlyMap<string, string> = new Map([
  ...["of", "in", "on", "at", "with", "within", "using", "between", "among", "during", "through", "across", "as"].map(
    (word): [string, string] => [word, "loose"],
  ),
  ...["to", "into", "onto", "toward", "towards"].map((word): [string, string] => [word, "to"]),
  ["from", "from"],
  ["by", "by"],
  ["via", "by"],
  ["than", "than"],
  ["for", "for"],
  ["about", "about"],
  ["regarding", "about"],
  ["concerning", "about"],
]);

export const questionClasses: ReadonlyMap<string, string> = new Map([
  ["who", "who"],
  ["whom", "who"],
  ["whose", "who"],
  ["when", "when"],
  ["where", "where"],
  ["why", "why"],
]);

export const tenses: ReadonlyMap<string, string> = new Map([
  ["was", "past"],
  ["were", "past"],
  ["did", "past"],
  ["had", "past"],
  ["will", "future"],
  ["shall", "future"],
  ["gonna", "future"],
]);

export const modals: ReadonlyMap<string, string> = new Map([
  ["can", "can"],
  ["could", "can"],
  ["may", "can"],
  ["might", "can"],
  ["should", "should"],
  ["ought", "should"],
  ["must", "must"],
]);

/** Pronouns, by person and case: "who helps me" is not "who do I help". */
export const persons: ReadonlyMap<string, string> = new Map(
  (
    "i:i me:me my:my mine:my myself:me we:we us:us our:our ours:our ourselves:us you:you your:your yours:your yourself:you " +
    "he:he him:him his:his himself:him she:she her:her hers:her herself:her they:they them:them their:their theirs:their " +
    "themselves:them"
  )
    .split(" ")
    .map((line): [string, string] => {
      const [word = "", form = ""] = line.split(":");
      return [word, form];
    }),
);

/** Words with which things in a list may change places: "compare A and B". */
export const commutative = set(
  "compare comparison comparing differ difference differences similarity similarities similar between common relationship " +
    "versus vs alike",
);

export const negations = set(
  "not no never none neither nor without nobody nothing nowhere hardly barely lacking except",
);

/** Words with an opposite that is asked about in the same words. They only name the reason: every word has to agree. */
export const directions = set(
  "before after above below over under up down in out inside outside on off more less fewer most least greater smaller " +
    "higher lower larger bigger longer shorter faster slower better worse increase decrease raise increment decrement buy sell " +
    "add remove subtract plus minus multiply divide first last next previous start stop begin end open close enable disable " +
    "allow deny accept reject import export upload download push pull read write send receive encode decode encrypt decrypt " +
    "compress decompress serialize deserialize lock unlock install uninstall mount unmount attach detach connect disconnect " +
    "login logout ascending descending minimum maximum min max left right top bottom north south east west oldest newest " +
    "old new young win lose gain loss import lend borrow give take arrive depart hot cold warm cool rise fall all any only " +
    "every some both or pros cons advantages disadvantages benefits drawbacks input output client server horizontal vertical",
);

/** Contractions that hide a negation, also as they are typed in haste. */
export const contractions: ReadonlyMap<string, readonly string[]> = new Map(
  (
    "can:ca,can do:do does:does did:did is:is are:are was:was were:were have:have has:has had:had could:could " +
    "should:should would:would must:must need:need might:might will:wo"
  )
    .split(" ")
    .flatMap((line): [string, readonly string[]][] => {
      const [word = "", stems = ""] = line.split(":");
      return stems.split(",").flatMap((stem): [string, readonly string[]][] => [
        [`${stem}n't`, [word, "not"]],
        [`${stem}nt`, [word, "not"]],
      ]);
    })
    .concat([
      ["can't", ["can", "not"]],
      ["cant", ["can", "not"]],
      ["cannot", ["can", "not"]],
      ["ain't", ["is", "not"]],
    ]),
);

/** Endings after an apostrophe that are verbs of their own. */
export const enclitics: ReadonlyMap<string, string> = new Map([
  ["re", "are"],
  ["ve", "have"],
  ["ll", "will"],
  ["d", "would"],
  ["m", "am"],
]);

/** Words whose 's is a verb, not a possessive. */
export const subjectWords = set("what who where when how why which that there it he she here let");

/** Words that may stand for each other; the first one of a line is what the others are read as. */
const synonymLines = `
big large
fast quick
begin start
buy purchase
car automobile
create make
fix repair
movie film
phone telephone
television tv
usa america
uk britain
javascript js
typescript ts
postgresql postgres
kubernetes k8s
information info
summarize summary summarise
doctor physician
lawyer attorney
biggest largest
happen occur
child kid
photo photograph
biology bio
maximum max
minimum min
database db
function fn
repository repo
environment env
configuration config
administrator admin
application app
advertisement ad
versus vs
approximately roughly
calculate compute
choose select pick
reason cause
rich wealthy
afraid scared
holiday vacation
`;

const singularLines = "children:child men:man women:woman people:person mice:mouse feet:foot teeth:tooth geese:goose";

export const irregularPlurals: ReadonlyMap<string, string> = new Map(
  singularLines.split(" ").map((line): [string, string] => {
    const [plural = "", singular = ""] = line.split(":");
    return [plural, singular];
  }),
);

/** Words in s that are no plural, or mean something else than their singular. */
export const keptInS = set(
  "news lens always perhaps gas bus glasses goods arms customs windows savings jeans pants works series species means " +
    "minutes times terms looks spirits forces papers colors quarters odds ends does",
);

const numberWords =
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty";

export const numbersInWords: ReadonlyMap<string, string> = new Map(
  numberWords.split(" ").map((word, value): [string, string] => [word, String(value)]),
);

const unitLines = `
km kilometer kilometre
m meter metre
cm centimeter centimetre
mm millimeter millimetre
mile mi
foot ft
inch
yard yd
kg kilogram kilo
g gram gramme
mg milligram
pound lb lbs
ounce oz
liter litre l
ml milliliter millilitre
celsius
fahrenheit
hour hr h
minute min
second sec s
ms millisecond
dollar usd $
euro eur €
gbp £
yen ¥ jpy
rupee ₹ inr
percent % pct
`;

function groups(lines: string): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const line of lines.trim().split("\n")) {
    const [first = "", ...others] = line.split(" ");
    for (const other of others) map.set(other, first);
  }
  return map;
}

export const synonyms = groups(synonymLines);
export const units = groups(unitLines);
/** Names of units; one letter is a unit only after a number. */
export const unitNames: ReadonlySet<string> = new Set([...units.values(), ...units.keys()]);
