//! English, German and Dutch.

use super::super::lexicon::{Courtesy, Lists};

/// English.
pub(super) const ENGLISH: Lists = Lists {
    function: "a an the of to in on at by for from with without about into over under between through as than that's \
        is are was were be been being am do does did doing done have has had having can could should would will shall \
        may might must not n't don't doesn't isn't i me my mine you your yours we us our he'd i'm you're it's there \
        here if then all any some every each no just only also too very really please let let's say tell give show \
        make get go put want need like know think mean up down out off again now so yes but",
    asking: "what which who whom whose when where why how what's who's how's where's",
    interjections: "ok okay well so hm hmm ah oh yes yeah no right sure alright",
    connectives: &[
        "and",
        "but",
        "or",
        "also",
        "then",
        "and then",
        "what about",
        "how about",
        "and what about",
        "and how about",
        "but what about",
        "what if",
        "and if",
        "else",
    ],
    referring: "they them their theirs these those both former latter he him his she her hers that this",
    pronouns: "it its itself",
    articles: "",
    prepositions: "in on at with without for over under during before after by from via using",
    relational: "example examples reason reasons difference differences alternative alternatives advantage advantages \
        disadvantage disadvantages drawback drawbacks downside downsides benefit benefits pros cons detail details \
        result results consequence consequences cause causes limit limits limitation limitations cost costs source \
        sources more else other others another exactly case cases instead",
    again: "summarise summarize summary sum shorten shorter short brief briefly concise concisely longer detail \
        details detailed elaborate expand rephrase reword repeat again simpler simply simplify simple explain clarify \
        continue list bullet bullets points point translate words other tl dr tldr sentence sentences paragraph \
        one two three more further english german french spanish italian portuguese dutch",
    thanks: Courtesy { said: "thanks thank thx ty cheers", reply: "You're welcome." },
    farewell: Courtesy { said: "bye goodbye farewell", reply: "Goodbye!" },
    greeting: Courtesy {
        said: "hi hello hey greetings morning evening afternoon",
        reply: "Hello! Ask me about something that I have written on.",
    },
    agreement: Courtesy {
        said: "ok okay great cool perfect nice excellent awesome understood got gotcha alright good yes",
        reply: "Good. Ask me about anything else that I have written on.",
    },
    beside: "lot lots much many helpful helps helped useful that this again day night see later all everyone mate \
        twin makes sense works fine well so very really good indeed",
};

/// German.
pub(super) const GERMAN: Lists = Lists {
    function: "der die das den dem des ein eine einen einem einer eines kein keine keinen von vom zu zum zur im in am \
        an auf bei beim mit ohne für gegen über unter zwischen durch aus nach vor seit als wie ist sind war waren bin \
        bist sein gewesen wird werden wurde wurden hat habe haben hast hatte hatten kann können kannst konnte soll \
        sollte sollen sollst muss müssen musst darf dürfen will wollen möchte würde würden nicht ich mich mir mein \
        meine du dich dir dein deine wir uns unser sie ihr man sich wenn dann dass ob alle alles jede jeder jedes nur \
        auch noch sehr so schon mal bitte doch denn da hier dort sag sage gib zeig mach machen mache gehen geht um \
        und oder aber",
    asking: "was wer wen wem wessen wann wo wohin woher warum wieso weshalb wie welche welcher welches welchen \
        welchem womit wofür wozu",
    interjections: "ok okay gut na ja nein ah oh hm also schön alles klar stimmt",
    connectives: &[
        "und",
        "aber",
        "oder",
        "auch",
        "dann",
        "und dann",
        "was ist mit",
        "und was ist mit",
        "wie ist es mit",
        "und wie ist es mit",
        "wie sieht es mit",
        "und wie sieht es mit",
        "wie steht es um",
        "was wenn",
        "und wenn",
        "sonst",
    ],
    referring: "diese dieser dieses diesen diesem jene jener jenes davon damit dafür daran dazu dabei darin darüber \
        daraus dagegen deren dessen beide beiden beides ersteres letzteres",
    pronouns: "es ihn ihm",
    articles: "das der die den dem",
    prepositions: "in im mit ohne für bei auf unter über vor nach aus per",
    relational: "beispiel beispiele beispielsweise grund gründe unterschied unterschiede alternative alternativen \
        vorteil vorteile nachteil nachteile detail details einzelheiten ergebnis ergebnisse folge folgen ursache \
        ursachen grenze grenzen quelle quellen mehr sonst andere anderen anderes genau stattdessen",
    again: "fass fasse zusammen zusammenfassen zusammenfassung zusammengefasst kurz kürze kürzer knapp knapper länger \
        ausführlich ausführlicher genauer detail details detaillierter wiederhole wiederholen wiederholung nochmal \
        nochmals noch einfacher einfach vereinfache erklär erkläre erklären weiter mehr liste stichpunkte \
        stichpunkten stichwort übersetze übersetzen wort worten anders anderen satz sätzen ein zwei drei deutsch \
        englisch französisch spanisch",
    thanks: Courtesy { said: "danke dank dankeschön merci", reply: "Gern geschehen." },
    farewell: Courtesy { said: "tschüss tschüß wiedersehen ciao servus", reply: "Auf Wiedersehen!" },
    greeting: Courtesy {
        said: "hallo hi hey moin tag morgen abend grüezi grüß",
        reply: "Hallo! Frag mich nach etwas, worüber ich geschrieben habe.",
    },
    agreement: Courtesy {
        said: "ok okay super prima toll perfekt verstanden klar gut schön ja alles",
        reply: "Gut. Frag mich gern nach anderem, worüber ich geschrieben habe.",
    },
    beside: "guten gute vielen vielmals herzlichen schönen sehr viel hilft geholfen hilfreich gott bis bald später \
        zusammen das nett interessant",
};

/// Dutch.
pub(super) const DUTCH: Lists = Lists {
    function: "de het een van in op aan bij met zonder voor tegen over onder tussen door uit naar na als dan is zijn \
        was waren ben bent geweest wordt worden werd heb heeft hebben hebt had kan kunnen kun moet moeten mag mogen \
        wil willen zal zou zouden niet geen ik mij me mijn jij je jouw u uw wij we ons onze men zich om te er daar \
        hier ook nog zeer erg heel zo wel alles alle elke alleen alsjeblieft graag zeg geef toon maak doe doen doet",
    asking: "wat wie wanneer waar waarom hoe welke welk waarmee waarvoor hoeveel",
    interjections: "ok oké nou ja nee ah oh hm goed dus",
    connectives: &[
        "en",
        "maar",
        "of",
        "ook",
        "dan",
        "en dan",
        "hoe zit het met",
        "en hoe zit het met",
        "wat met",
        "en als",
        "anders",
    ],
    referring: "deze die dat dit ervan daarvan daarmee daarvoor hen hun beide",
    pronouns: "hem",
    articles: "het",
    prepositions: "in op met zonder voor bij via over",
    relational: "voorbeeld voorbeelden reden redenen verschil verschillen alternatief alternatieven voordeel \
        voordelen nadeel nadelen detail details resultaat resultaten gevolg gevolgen oorzaak oorzaken grens grenzen \
        bron bronnen meer ander andere precies",
    again: "vat samen samenvatten samenvatting kort korter kortom langer uitgebreid uitgebreider gedetailleerd \
        herhaal herhalen nogmaals simpel simpeler eenvoudig eenvoudiger uitleg leg uit verder ga door meer lijst \
        punten vertaal vertalen woorden andere zin zinnen twee drie nederlands engels",
    thanks: Courtesy { said: "dank bedankt dankjewel dankuwel", reply: "Graag gedaan." },
    farewell: Courtesy { said: "doei tot ziens", reply: "Tot ziens!" },
    greeting: Courtesy {
        said: "hallo hoi dag goedemorgen goedemiddag goedenavond",
        reply: "Hallo! Vraag me naar iets waarover ik heb geschreven.",
    },
    agreement: Courtesy {
        said: "ok oké prima mooi begrepen goed ja top",
        reply: "Goed. Vraag me gerust naar iets anders waarover ik heb geschreven.",
    },
    beside: "veel hartelijk vriendelijk zeer nuttig handig duidelijk dat straks later",
};
