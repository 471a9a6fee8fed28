//! The languages that people write in: those that the twin has words for, and how to tell them from few words.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::words::words;

/// The stop words of each language, in the order of [`Language::ALL`].
static STOP_WORDS: LazyLock<[HashSet<&'static str>; 7]> =
    LazyLock::new(|| Language::ALL.map(|language| language.stop_words().split_ascii_whitespace().collect()));

/// A language of which stop words, and the wording of prompts and answers, are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Italian.
    Italian,
    /// Portuguese.
    Portuguese,
    /// Dutch.
    Dutch,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::English, Self::German, Self::French, Self::Spanish, Self::Italian, Self::Portuguese, Self::Dutch];

    /// Its ISO 639-3 code.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "eng",
            Self::German => "deu",
            Self::French => "fra",
            Self::Spanish => "spa",
            Self::Italian => "ita",
            Self::Portuguese => "por",
            Self::Dutch => "nld",
        }
    }

    /// The language of an ISO 639-3 code; none where nothing is known of it.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The language of a text of a sentence or more, by the stop words in it: that which has most of them. None where it
    /// has none, or as many of two languages. For a question of a few words this tells more than the frequency of
    /// letters.
    pub fn told(text: &str) -> Option<Self> {
        let words = words(text);
        let count = |language: Self| words.iter().filter(|word| language.is_stop_word(word)).count();
        let mut counted = Self::ALL.map(|language| (count(language), language));
        counted.sort_by_key(|(count, language)| (usize::MAX - count, *language));
        let [(most, language), (second, _), ..] = counted;
        (most > second).then_some(language)
    }

    /// Whether a word, in lower case, tells nothing of what a text is about.
    pub fn is_stop_word(self, word: &str) -> bool {
        STOP_WORDS[self as usize].contains(word)
    }

    /// Articles, pronouns, prepositions, conjunctions, auxiliary verbs, adverbs and particles.
    fn stop_words(self) -> &'static str {
        match self {
            Self::English => ENGLISH,
            Self::German => GERMAN,
            Self::French => FRENCH,
            Self::Spanish => SPANISH,
            Self::Italian => ITALIAN,
            Self::Portuguese => PORTUGUESE,
            Self::Dutch => DUTCH,
        }
    }
}

const ENGLISH: &str = "a about above after again against all almost also although always am among an and another any are \
    as at be because been before being below between both but by can cannot come comes could did do does doing done don't \
    down during each either enough even ever every few first for from further get gets give given gives go goes going had \
    has have having he her here hers herself him himself his how however http https i if in into is isn't it it's its itself \
    just know least less let like made make makes making many may me might mine more most much must my myself need needs \
    never next no none nor not nothing now of off often on once one only or other others our ours out over own part perhaps \
    rather really same say says she should since so some something still such take takes than that that's the their theirs \
    them themselves then there these they thing things this those though through thus to together too toward towards under \
    until up upon us use used uses using very want wants was we well were what whatever when where whether which while who \
    whole whom whose why will with within without would write written wrote explain yet you your yours yourself";

const GERMAN: &str = "aber alle allem allen aller alles als also am an andere anderem anderen anderer anderes ans auch auf \
    aus außer bei beim bereits bin bis bist da dabei dafür daher damit danach dann daran darauf daraus darf darin darum das \
    dass davon dazu dein deine deinem deinen deiner dem den denen denn dennoch der deren des deshalb dessen dich die dies \
    diese diesem diesen dieser dieses dir doch dort du durch dürfen ebenso eher eigentlich ein eine einem einen einer eines \
    einfach einige einigen einiger einmal er erst es etwa etwas euch euer eure falls fast für gab ganz ganze ganzen gar geben \
    gegen gehen geht gemacht genau genug gerade gern gewesen gibt habe haben hat hatte hatten hier hin hinter ich ihm ihn \
    ihnen ihr ihre ihrem ihren ihrer im immer in indem ins irgend ist ja jede jedem jeden jeder jedes jedoch jemand jene jener \
    jetzt kann kannst kein keine keinem keinen keiner können könnte könnten lassen lässt mache machen macht man manche mehr \
    mein meine meinem meinen meiner meist mich mir mit möchte muss müssen musste nach nachdem nämlich neben nein nicht nichts \
    nie niemand noch nun nur ob obwohl oder oft ohne schon sehr sei sein seine seinem seinen seiner seit selbst sich sie sind \
    so sobald sofort solche solchen soll sollen sollte sollten sondern sonst soweit sowie sowohl statt über überhaupt um und \
    uns unser unsere unserem unseren unserer unter viel viele vielen vielleicht vom von vor vorher während wann war waren \
    warst warum was wegen weil weiter welche welchem welchen welcher welches wenig weniger wenn wer werde werden wie wieder \
    wir wird wirklich wo wobei wohl wollen wollte worden wurde wurden würde würden zu zum zur zwar zwischen";

const FRENCH: &str = "à afin ai ainsi alors après assez au aucun aucune aujourd'hui auquel aura aurait aussi autant autre \
    autres aux avaient avait avant avec avez avoir avons beaucoup bien c'est ça car ce ceci cela celle celles celui cependant \
    certain certaines certains ces cet cette ceux chaque chez combien comme comment d'un d'une dans de depuis des dès deux \
    devant doit donc dont du elle elles en encore enfin entre est et étaient était étant été être eu eux fait faire fait \
    faut font grâce hors ici il ils j'ai jamais je jusqu'à jusque l'on la là laquelle le lequel les lesquelles lesquels leur \
    leurs lorsque lui ma mais malgré me même mêmes mes mieux moi moins mon n'est ne ni non nos notre nous on ont ou où par \
    parce parfois parmi pas pendant peu peut peuvent plus plusieurs plutôt pour pourquoi pourtant pouvait pouvoir près presque \
    puis puisque qu'est qu'il qu'elle qu'on quand que quel quelle quelles quelque quelques quels qui quoi quoique s'il sa sans \
    sauf se selon sera serait ses seulement si sinon soit son sont sous souvent suis sur surtout ta tandis tant te tel telle \
    telles tels tes toi ton toujours tous tout toute toutes très trop tu un une unes vers voici voilà vos votre vous y";

const SPANISH: &str = "a acá además ahí ahora al algo alguien algún alguna algunas alguno algunos allí ambos ante antes \
    apenas aquel aquella aquellas aquello aquellos aquí así aún aunque bajo bien cada casi como cómo con contra cual cuál \
    cuales cualquier cuando cuándo cuanto cuánto de debe debería del demás desde después donde dónde dos durante e el él ella \
    ellas ello ellos en entonces entre era eran eres es esa esas ese eso esos esta está están estar estas este esto estos \
    estuvo fue fueron ha haber había habían hace hacen hacer hacia han hasta hay he incluso ir jamás la las le les lo los luego \
    más me mediante menos mi mientras mío mis misma mismas mismo mismos mucha muchas mucho muchos muy nada nadie ni ningún \
    ninguna ninguno no nos nosotros nuestra nuestras nuestro nuestros nunca o os otra otras otro otros para pero poca poco pocos \
    podría por porque pronto pues puede pueden qué que quien quién quienes quizá quizás se sé sea según ser será si sí sido \
    siempre sin sino sobre sois sólo solo somos son soy su sus suya suyo tal tales también tampoco tan tanta tanto te tener \
    tenía ti tiene tienen toda todas todavía todo todos tras tu tú tus u un una unas uno unos usted ustedes va van varias \
    varios vez vosotros y ya yo";

const ITALIAN: &str = "a abbiamo ad agli ai al alcuna alcune alcuni alcuno all alla alle allo allora almeno altra altre altri \
    altro anche ancora anzi appena avere aveva avevano bene benché c'è che chi ci ciascuno ciò cioè circa coi col come con contro \
    così cosa cose cui da dagli dai dal dall dalla dalle dallo davvero degli dei del dell della delle dello dentro deve devono di \
    dopo dove dovrebbe due dunque durante e è ecco ed era erano essere fa fare fatto fino forse fra fu fuori già gli ha hai hanno \
    ho i il in infatti insieme intanto invece io l'ho la le lei li lo loro lui ma mai me meglio meno mentre mi mia mie miei mio \
    molta molte molti molto ne né negli nei nel nell nella nelle nello nessun nessuna nessuno niente no noi non nostra nostre \
    nostri nostro nulla o od ogni oltre ora ormai per perché perciò perfino però piuttosto più poca poche pochi poco poi può \
    possono prima proprio pure qua qual quale quali qualche qualcosa qualcuno quando quanta quante quanti quanto quasi quel \
    quella quelle quelli quello questa queste questi questo qui quindi sarà sarebbe se sé sei sempre senza si sia siamo sono \
    sopra sotto spesso stata state stati stato stessa stesso su sua sue sugli sui sul sulla sulle suo suoi tale tanta tante \
    tanti tanto te ti tra troppo tu tua tuo tutta tuttavia tutte tutti tutto un una uno vi voi vostra vostro";

const PORTUGUESE: &str = "a à acerca agora ai ainda além algo alguém algum alguma algumas alguns ali ante antes ao aos apenas \
    após aquela aquelas aquele aqueles aquilo as às assim até através bem cada com como contra contudo cujo da daquele das de dela \
    delas dele deles demais depois desde dessa desse desta deste deve devem do dois dos durante e é ela elas ele eles em embora \
    enquanto então entre era eram és essa essas esse esses esta está estão estas estar estava estávamos este estes eu faz fazem \
    fazer foi for foram fosse há isso isto já jamais lá lhe lhes logo mais mas me menos mesma mesmas mesmo mesmos meu meus minha \
    minhas muita muitas muito muitos na nada não nas nela nele nem nenhum nenhuma nessa nesse nesta neste ninguém no nos nós nossa \
    nossas nosso nossos num numa nunca o onde os ou outra outras outro outros para pela pelas pelo pelos per perante pode podem \
    poderia pois por porém porquanto porque porquê pouca poucas pouco poucos qual quais qualquer quando quanto quase que quê quem \
    quer se seja sem sempre sendo ser será seria seu seus si sido sim só sob sobre somente sua suas tal também tampouco tanta \
    tanto tão te tem têm tendo tenho ter teu teve ti tinha tinham toda todas todavia todo todos tu tua tudo um uma umas uns vai \
    vão várias vários você vocês vos vossa";

const DUTCH: &str = "aan achter af al alle alleen alles als altijd ander andere anders ben bij bijna binnen boven buiten daar \
    daarna daarom daarvan dan dat de deze die dit doch doe doen doet door doordat dus echt echter een eens eerst eigenlijk elk elke \
    en enkel enkele er ergens even gaan gaat ge gedaan geen gehad geweest had hadden haar heb hebben heeft hem hen het hier hij hoe \
    hun iemand iets ik in indien is ja je jij jou jouw jullie kan kon konden kun kunnen kunt later laten maar maken maakt meer meest \
    men met mij mijn minder misschien moet moeten mogen na naar naast nadat net niemand niet niets nog nooit nou nu of om omdat \
    onder ons onze ook op over overal pas per reeds rond samen sinds slechts sommige soms steeds te tegen ten tenzij ter terug \
    terwijl tijdens toch toen tot tussen u uit uw vaak van vanaf vanuit veel verder via vol volgens voor voordat vooral waar \
    waarbij waarin waarom waarop waarvan wanneer want waren was wat we weer weinig wel welk welke werd werden wezen wij wil \
    willen wordt worden zal ze zei zelf zelfs zeer zich zij zijn zo zoals zodat zonder zou zouden zowel zulke";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_of_a_few_words_is_told_by_its_stop_words() {
        for (question, language) in [
            ("What do you say about sediment?", Language::English),
            ("Was sagst du über Sediment?", Language::German),
            ("Wie entstehen Mäander?", Language::German),
            ("Que dis-tu des sédiments dans les rivières ?", Language::French),
            ("¿Qué dices sobre los sedimentos?", Language::Spanish),
            ("Che cosa pensi dei sedimenti del fiume?", Language::Italian),
            ("O que você diz sobre os sedimentos do rio?", Language::Portuguese),
            ("Wat zeg je over het sediment van de rivier?", Language::Dutch),
        ] {
            assert_eq!(Language::told(question), Some(language), "{question}");
        }
        for unknown in ["Sediment?", "", "東京の川", "Mitä sanot sedimentistä?"] {
            assert_eq!(Language::told(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn each_language_has_its_code_and_its_stop_words_are_written_in_lower_case() {
        for language in Language::ALL {
            assert_eq!(Language::of_code(language.code()), Some(language));
            let words: Vec<&str> = language.stop_words().split_ascii_whitespace().collect();
            assert!(words.len() > 150, "{language:?}: {}", words.len());
            assert!(words.iter().all(|word| **word == word.to_lowercase()), "{language:?}");
        }
        assert_eq!(Language::of_code("fin"), None);
    }
}
