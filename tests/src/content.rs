//! Folders of Markdown files with topics that are far apart.

use std::fs;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

/// A file's topic, and a question that its text answers.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// The file's name.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The question, in other words than the text's where that is possible.
    pub question: &'static str,
}

const fn topic(file: &'static str, text: &'static str, question: &'static str) -> Topic {
    Topic { file, text, question }
}

/// Ten files whose place among all others is known.
pub const TOPICS: [Topic; 10] = [
    topic(
        "sourdough.md",
        "# Sourdough\n\nMy sourdough starter doubles in six hours when I feed it rye flour at 26 degrees. The crust \
         turns out crisp because I bake the loaf under a heavy iron lid.",
        "How do I get a crisp crust on bread?",
    ),
    topic(
        "bees.md",
        "# Bees in winter\n\nThe hive survived the frost because I wrapped it in wool and left the colony twelve kilos \
         of honey. In February the queen had begun to lay eggs again.",
        "How does a bee colony get through the cold season?",
    ),
    topic(
        "tides.md",
        "# Tides\n\nThe moon pulls the sea into two bulges, so a harbour sees high water twice a day. Near full moon \
         the range is largest and is called a spring tide.",
        "Why is there high water twice a day?",
    ),
    topic(
        "violin.md",
        "# Practising the violin\n\nI practise scales slowly with a drone note, since intonation suffers first when I \
         am tired. New strings need three days before they hold their pitch.",
        "How long until new violin strings stay in tune?",
    ),
    topic(
        "postgres.md",
        "# A slow query\n\nThe database read the whole table until I added a partial index on unpaid invoices. The \
         planner then chose an index scan and the query took four milliseconds.",
        "What made the database query fast?",
    ),
    topic(
        "glacier.md",
        "# On the glacier\n\nWe roped up before the crevasses and tested every snow bridge with a pole. The ice moves \
         forty metres a year and carries boulders down the valley.",
        "How fast does the glacier's ice move?",
    ),
    topic(
        "chess.md",
        "# The Caro-Kann\n\nAs black I answer the king's pawn with the Caro-Kann defence: the light bishop gets out \
         before the pawn chain closes, and the endgame suits me.",
        "Which chess opening does black play?",
    ),
    topic(
        "tomatoes.md",
        "# Tomatoes\n\nBlight took my tomatoes until I put a roof over them and cut off the lowest leaves. Water goes \
         to the roots only, never over the foliage.",
        "How can tomato plants be kept free of blight?",
    ),
    topic(
        "bicycle.md",
        "# Truing a wheel\n\nTo true a bicycle wheel I turn the spoke nipples a quarter at a time and watch the gap \
         between rim and brake pad. A drop of oil keeps the thread from binding.",
        "How is a wobbling bicycle wheel straightened?",
    ),
    topic(
        "telescope.md",
        "# Saturn\n\nThrough my small telescope the rings of Saturn stand apart from the disc at ninety-fold \
         magnification. The air has to be calm; I wait until the planet is high.",
        "What does it take to see Saturn's rings?",
    ),
];

/// Subjects of the other files, one each.
const OTHERS: [&str; 50] = [
    "origami cranes",
    "copper etching",
    "fencing footwork",
    "cheese cellars",
    "bonsai pruning",
    "sign language",
    "marathon pacing",
    "kite building",
    "stained glass",
    "pottery glazes",
    "falconry",
    "lock picking",
    "mushroom walks",
    "radio antennas",
    "tea ceremonies",
    "roller skates",
    "paper marbling",
    "sailing knots",
    "juggling clubs",
    "bookbinding",
    "trampolines",
    "perfume notes",
    "map projections",
    "puppet theatre",
    "salt mines",
    "tattoo ink",
    "beekeeping law",
    "wind tunnels",
    "crossword clues",
    "lighthouses",
    "steam engines",
    "hedge mazes",
    "carpet looms",
    "fountain pens",
    "ice hockey",
    "snake handling",
    "train timetables",
    "opera subtitles",
    "clock towers",
    "dental tools",
    "ballet shoes",
    "bus shelters",
    "soap carving",
    "desert maps",
    "horse tack",
    "museum labels",
    "drum skins",
    "parachutes",
    "canal locks",
    "typewriters",
];

/// A folder of Markdown files.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    /// An empty folder.
    ///
    /// # Errors
    /// It can not be made.
    pub fn new() -> Result<Self> {
        Ok(Self { folder: TempDir::with_prefix("twin-folder-")? })
    }

    /// The ten [`TOPICS`] among fifty other files.
    ///
    /// # Errors
    /// A file can not be written.
    pub fn of_sixty() -> Result<Self> {
        let folder = Self::new()?;
        for topic in TOPICS {
            folder.write(topic.file, topic.text)?;
        }
        for (number, subject) in OTHERS.iter().enumerate() {
            folder.write(&format!("notes/{number:02}.md"), &note(subject))?;
        }
        Ok(folder)
    }

    /// Writes a file; the folders above it are made.
    ///
    /// # Errors
    /// It can not be written.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        // Written beside it and moved, as editors do: a sync never sees half a text.
        let partial = path.with_extension("partial");
        fs::write(&partial, text)?;
        Ok(fs::rename(partial, path)?)
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// It is not there.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        Ok(fs::rename(self.folder.path().join(from), self.folder.path().join(to))?)
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// It is not there.
    pub fn remove(&self, file: &str) -> Result<()> {
        Ok(fs::remove_file(self.folder.path().join(file))?)
    }

    /// Deletes all files.
    ///
    /// # Errors
    /// One can not be deleted.
    pub fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(self.folder.path())? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    /// Where it is.
    pub fn location(&self) -> &str {
        self.folder.path().to_str().unwrap_or_default()
    }
}

/// A short text about a subject.
pub fn note(subject: &str) -> String {
    format!(
        "# Notes on {subject}\n\nI spent a summer with {subject} and kept a diary of it.\n\n## What I learned\n\nThe \
         hardest part of {subject} was patience; the best part was talking with people who have done {subject} all \
         their life and could name every mistake that I was about to make.\n"
    )
}
