//! The wording in English.

use super::Wording;

/// The wording in English.
pub(super) const WORDING: Wording = Wording {
    about_heading: &[
        "Write about {subject}.",
        "Explain {subject}.",
        "Tell me about {subject}.",
        "What do you say about {subject}?",
        "Write the part on {subject}.",
        "I would like to read you on {subject}.",
    ],
    about_heading_in_title: &[
        "Write about {subject}, as part of \"{title}\".",
        "In \"{title}\", what do you say about {subject}?",
        "Write the section \"{subject}\" of \"{title}\".",
        "Explain {subject} for readers of \"{title}\".",
        "Write on {subject}, in the context of \"{title}\".",
    ],
    generic_part: &[
        "Write the part \"{subject}\" of \"{title}\".",
        "How does the part \"{subject}\" of \"{title}\" read?",
        "Write \"{subject}\" for your text \"{title}\".",
    ],
    about_title: &[
        "Write the beginning of \"{title}\".",
        "How do you begin \"{title}\"?",
        "Open a text with the title \"{title}\".",
    ],
    whole: &[
        "Write \"{title}\".",
        "Write a text with the title \"{title}\".",
        "Write up \"{title}\" for your readers.",
        "How would you write \"{title}\"?",
        "I would like to read \"{title}\".",
    ],
    post_of_title: &[
        "Write a short post: \"{title}\".",
        "Post something under the title \"{title}\".",
        "Write the post \"{title}\".",
    ],
    about_words: &[
        "Write about {words}.",
        "What do you think about {words}?",
        "Say something on {words}.",
        "Write a few lines on {words}.",
        "Share a thought on {words}.",
    ],
    about_words_in: &[
        "Write more on {subject}: {words}.",
        "Go on about {subject}, with a view to {words}.",
        "On {subject}: what about {words}?",
        "Continue on {subject}, and come to {words}.",
    ],
    continuing: &[
        "Continue this text:\n\n{text}",
        "Go on from here:\n\n{text}",
        "This is where you stopped. Write what follows.\n\n{text}",
        "{text}\n\nHow does it go on?",
    ],
    replying: &[
        "Reply to this:\n\n{text}",
        "What do you say to this?\n\n{text}",
        "Somebody has written the following. Answer it.\n\n{text}",
    ],
    titling: &[
        "Give this text a title:\n\n{text}",
        "What would you call this?\n\n{text}",
        "Find the heading for this part:\n\n{text}",
    ],
    from_notes: &[
        "Turn these notes into prose:\n\n{text}",
        "Write this out in full:\n\n{text}",
        "Make a text of these notes:\n\n{text}",
    ],
    questions: &[
        "What have you written about {subject}?",
        "What do you say about {subject}?",
        "What is your view on {subject}?",
        "Can you tell me about {subject}?",
        "What should I know about {subject}?",
        "{subject}?",
        "{subject}: what do you know of it?",
        "I have a question on {subject}. What do you say?",
    ],
    how: &["How do I {subject}?", "How can I {subject}?", "How do you {subject}?", "What is a good way to {subject}?"],
    in_particular: "{subject}, in particular {words}",
    and: " and ",
    generic: &[
        "introduction",
        "intro",
        "overview",
        "summary",
        "conclusion",
        "conclusions",
        "background",
        "motivation",
        "notes",
        "example",
        "examples",
        "usage",
        "discussion",
        "results",
        "closing thoughts",
        "final thoughts",
        "wrapping up",
        "tl;dr",
        "tldr",
        "abstract",
        "preface",
        "about",
        "getting started",
        "faq",
        "details",
        "more",
        "misc",
    ],
    interrogatives: &["how", "what", "why", "when", "where", "who", "whom", "whose", "which"],
    imperatives: "access add adjust allow analyze append apply archive arrange assert assign attach authenticate avoid back \
        backup begin bind block boot break bring browse build bundle bypass cache calculate call cancel capture \
        cast catch center chain change check choose clean clear clone close collapse collect combine compare \
        compile complete compress compute concatenate configure confirm connect construct consume control convert \
        coordinate copy correct count cover create customize cut cycle debug declare decode decrease decrypt \
        define delete deploy destroy destructure detect determine diff disable discard disconnect discover \
        display divide download draw drop dump duplicate edit embed emit enable encode encrypt enforce ensure \
        enter enumerate escape establish evaluate examine exclude execute exit expand explain export expose \
        extend extract fail fetch fill filter find fix flatten flush focus fold follow force fork format forward \
        free freeze generate get go grab group guarantee guard handle hide highlight hook identify ignore \
        implement import improve include increase indent inherit initialize inject insert inspect install \
        integrate interpolate interrupt invalidate invert invoke iterate join jump keep kill label launch lay \
        learn limit link list listen load locate lock log look loop lower lowercase maintain make manage map mark \
        match measure memoize merge migrate mirror mock modify monitor mount move multiply navigate negate nest \
        normalize obtain omit open optimize organize override pad paginate parse partition pass paste patch pause \
        perform persist pick pin ping pipe place play plot populate preserve press prevent preview print process \
        produce profile prompt protect provide prune publish pull push put query quit quote raise randomize rank \
        read rebase rebuild receive record recover redirect reduce refactor refer reference refine refresh \
        register release reload remap remove rename render reorder repeat replace replay request require rerun \
        rescue reset resize resolve respond restart restore restrict resume retrieve retry return reuse reverse \
        revert review revoke rewrite roll rotate round run sanitize save scan schedule scope scroll search secure \
        see seed select send separate serialize serve set setup share shift ship shorten show shuffle shut sign \
        silence simplify simulate skip slice sort specify speed split stage start stash stop store stream strip \
        stub submit subscribe substitute suppress surround swap switch sync tag tail take target terminate \
        throttle throw toggle trace track transform translate traverse trigger trim truncate try tune turn undo \
        unescape uninstall unlock unset untrack update upgrade upload use validate verify view visit visualize \
        wait warn watch wrap write yank zip zoom",
};
