//! French, Spanish, Italian and Portuguese.

use super::super::lexicon::{Courtesy, Lists};

/// French.
pub(super) const FRENCH: Lists = Lists {
    function: "le la les l un une des du de d au aux à en dans sur sous avec sans pour par entre chez vers comme que \
        qu est sont était étaient être été suis es ai as a ont avons avez avait avoir fait faire font peut peux \
        peuvent pouvez doit dois faut n'est c'est il elle on nous vous je tu me te se moi toi mon ma mes ton ta tes \
        son sa ses notre votre ne pas plus très aussi tout tous toute toutes si donc alors ici là s'il svp plaît dis \
        dites donne montre j'ai l'on y",
    asking: "quoi quel quelle quels quelles qui quand où pourquoi comment combien lequel laquelle lesquels lesquelles \
        qu'est",
    interjections: "ok bon bien ah oh hm oui non alors donc",
    connectives: &[
        "et",
        "mais",
        "ou",
        "aussi",
        "puis",
        "et puis",
        "qu'en est il",
        "et si",
        "et pour",
        "et avec",
        "sinon",
    ],
    referring: "ça cela ceci ceux celles celui celle ces ce cet cette eux leur leurs ils elles",
    pronouns: "lui",
    articles: "",
    prepositions: "en dans avec sans pour sur sous chez par",
    relational: "exemple exemples raison raisons différence différences alternative alternatives avantage avantages \
        inconvénient inconvénients détail détails résultat résultats conséquence conséquences cause causes limite \
        limites source sources autre autres exactement",
    again: "résume résumer résumé résumez raccourcis raccourcir court courte bref brève long longue détail détails \
        détaillé répète répéter répétez simplifie simplifier simple simplement explique expliquer expliquez continue \
        continuer liste points traduis traduire mots d'autres autres phrase phrases deux trois français anglais \
        allemand",
    thanks: Courtesy { said: "merci remercie", reply: "Je vous en prie." },
    farewell: Courtesy { said: "revoir adieu bientôt", reply: "Au revoir !" },
    greeting: Courtesy {
        said: "bonjour salut bonsoir coucou",
        reply: "Bonjour ! Posez-moi une question sur ce que j'ai écrit.",
    },
    agreement: Courtesy {
        said: "ok d'accord parfait super génial compris bien oui",
        reply: "Bien. Posez-moi une autre question sur ce que j'ai écrit.",
    },
    beside: "beaucoup mille bonne bon journée soirée nuit infiniment utile très c'est ça",
};

/// Spanish.
pub(super) const SPANISH: Lists = Lists {
    function: "el la los las un una unos unas de del al a en con sin por para entre sobre desde hasta como que es son \
        era eran ser sido soy eres está están estar hay he has ha han haber hace hacer hago puede puedo pueden puedes \
        debe debo deben no se me te nos mi mis tu tus su sus yo tú usted nosotros muy más también todo todos toda \
        todas si entonces aquí ahí allí ya favor di dime da dame muestra",
    asking: "qué quién quiénes cuál cuáles cuándo dónde cómo cuánto cuánta cuántos cuántas",
    interjections: "ok vale bueno bien ah oh sí no pues",
    connectives: &[
        "y",
        "pero",
        "o",
        "también",
        "entonces",
        "y si",
        "qué tal",
        "y qué tal",
        "qué pasa con",
        "y qué pasa con",
        "qué hay de",
    ],
    referring: "eso esto esos esas estos estas ese esa este esta aquello ellos ellas ambos ambas",
    pronouns: "ello él ella lo",
    articles: "la los las",
    prepositions: "en con sin para por sobre desde",
    relational: "ejemplo ejemplos razón razones diferencia diferencias alternativa alternativas ventaja ventajas \
        desventaja desventajas inconveniente inconvenientes detalle detalles resultado resultados consecuencia \
        consecuencias causa causas límite límites fuente fuentes otro otra otros otras exactamente",
    again: "resume resumir resumen resúmelo acorta acórtalo corto corta breve largo detalle detalles detallado repite \
        repetir repítelo simplifica simple sencillo explica explicar explícalo continúa sigue lista puntos traduce \
        traducir tradúcelo palabras otras frase frases dos tres español inglés más",
    thanks: Courtesy { said: "gracias agradezco", reply: "De nada." },
    farewell: Courtesy { said: "adiós chao luego", reply: "¡Hasta luego!" },
    greeting: Courtesy {
        said: "hola buenas buenos saludos",
        reply: "¡Hola! Pregúntame por algo sobre lo que haya escrito.",
    },
    agreement: Courtesy {
        said: "ok vale perfecto genial estupendo entendido bien sí",
        reply: "Bien. Pregúntame por otra cosa sobre la que haya escrito.",
    },
    beside: "muchas mil días tardes noches día útil ayuda muy hasta",
};

/// Italian.
pub(super) const ITALIAN: Lists = Lists {
    function: "il lo la i gli le l un uno una di del della dei delle dello da dal dalla a al alla ai in nel nella con \
        senza per tra fra su sul sulla come che è sono era erano essere stato sei ho hai ha hanno avere fa fare \
        faccio può posso possono puoi deve devo devono non si mi ti ci vi mio mia tuo tua suo sua io tu noi voi molto \
        più anche tutto tutti se allora qui lì già favore dimmi dammi mostra",
    asking: "cosa chi quale quali quando dove perché come quanto quanta quanti quante cos'è dov'è",
    interjections: "ok bene beh ah oh sì no allora",
    connectives: &["e", "ma", "o", "anche", "poi", "e poi", "e se", "e per", "che dire di", "e che dire di"],
    referring: "questo questa questi queste quello quella quelli quelle ciò loro entrambi entrambe essi esse",
    pronouns: "esso essa",
    articles: "lo la li le",
    prepositions: "in con senza per su da",
    relational: "esempio esempi ragione ragioni motivo motivi differenza differenze alternativa alternative vantaggio \
        vantaggi svantaggio svantaggi dettaglio dettagli risultato risultati conseguenza conseguenze causa cause \
        limite limiti fonte fonti altro altra altri altre esattamente",
    again: "riassumi riassumere riassunto riassumilo accorcia breve brevemente corto lungo dettaglio dettagli \
        dettagliato ripeti ripetere ripetilo semplifica semplice spiega spiegare spiegalo continua elenco punti \
        traduci tradurre traducilo parole altre frase frasi due tre italiano inglese più",
    thanks: Courtesy { said: "grazie ringrazio", reply: "Prego." },
    farewell: Courtesy { said: "arrivederci addio", reply: "Arrivederci!" },
    greeting: Courtesy { said: "ciao buongiorno buonasera salve", reply: "Ciao! Chiedimi qualcosa di cui ho scritto." },
    agreement: Courtesy {
        said: "ok perfetto ottimo capito bene sì va",
        reply: "Bene. Chiedimi qualcos'altro di cui ho scritto.",
    },
    beside: "mille tante molte giornata serata utile presto",
};

/// Portuguese.
pub(super) const PORTUGUESE: Lists = Lists {
    function: "o a os as um uma uns umas de do da dos das em no na nos nas com sem por para pelo pela entre sobre \
        desde até que é são era eram ser sido sou está estão estar há tem têm ter faz fazer faço pode posso podem \
        deve devo devem não se me te lhe meu minha teu tua seu sua eu tu você nós muito mais também tudo todos todas \
        então aqui ali já favor diz diga dá mostra",
    asking: "quê quem qual quais quando onde porquê porque como quanto quanta quantos quantas",
    interjections: "ok bem bom ah oh sim não então pois",
    connectives: &["e", "mas", "ou", "também", "depois", "e depois", "e se", "e quanto a", "que tal", "e que tal"],
    referring: "isso isto esses essas estes estas aquilo eles elas ambos ambas esse essa este esta",
    pronouns: "ele ela",
    articles: "",
    prepositions: "em no na com sem para por sobre",
    relational: "exemplo exemplos razão razões motivo motivos diferença diferenças alternativa alternativas vantagem \
        vantagens desvantagem desvantagens detalhe detalhes resultado resultados consequência consequências causa \
        causas limite limites fonte fontes outro outra outros outras exatamente",
    again: "resume resumir resumo resuma encurta curto breve longo detalhe detalhes detalhado repete repetir repita \
        simplifica simples explica explicar explique continua lista pontos traduz traduzir palavras outras frase \
        frases duas três português inglês mais",
    thanks: Courtesy { said: "obrigado obrigada agradeço valeu", reply: "De nada." },
    farewell: Courtesy { said: "tchau adeus logo", reply: "Até logo!" },
    greeting: Courtesy { said: "olá oi", reply: "Olá! Pergunta-me sobre algo que eu tenha escrito." },
    agreement: Courtesy {
        said: "ok perfeito ótimo entendi bem certo sim",
        reply: "Bem. Pergunta-me outra coisa sobre a qual eu tenha escrito.",
    },
    beside: "muito muita dia tarde noite boa bom útil até",
};
