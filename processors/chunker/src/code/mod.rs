//! Items of source code, by their syntax trees.
//!
//! A file is split at its top-level items; an item that is too long is split at its members, and so on. Comments,
//! attributes and decorators before an item stay with it. Functions are not split here: blank lines do that later.

mod name;

use std::ops::Range;

use twin_text::code::{Node, line_start, parse};

use crate::options::Options;
use crate::outline::{Outline, Place};
use crate::sections::Piece;
use crate::units::Units;

/// Items are looked for this deep: a class in a class in a module …
const MAX_DEPTH: usize = 8;

/// The items of a file, in order; none if the language is not known or the text can not be parsed in time.
pub(crate) fn items(
    text: &str,
    language: &str,
    units: &Units,
    options: &Options,
    outline: &mut Outline,
) -> Option<Vec<Piece>> {
    let tree = parse(text, language)?;
    let mut splitter = Splitter { text, units, options, outline, pieces: Vec::new(), levels: 0 };
    splitter.split_all(tree.root_node());
    Some(splitter.pieces)
}

struct Splitter<'a> {
    text: &'a str,
    units: &'a Units,
    options: &'a Options,
    outline: &'a mut Outline,
    pieces: Vec<Piece>,
    levels: usize,
}

/// Bytes that hold one item, or all of a file.
struct Region<'tree> {
    bytes: Range<usize>,
    /// Whose children are its members.
    members: Option<Node<'tree>>,
    place: Place,
    level: usize,
    depth: usize,
    head_only: bool,
}

impl Splitter<'_> {
    /// Splits what is too long until it fits or has no members. A stack, not recursion: the depth is the text's.
    fn split_all(&mut self, root: Node<'_>) {
        let whole = Region {
            bytes: 0..self.text.len(),
            members: Some(root),
            place: None,
            level: 0,
            depth: 0,
            head_only: false,
        };
        let mut stack = vec![whole];
        while let Some(region) = stack.pop() {
            let units = self.units.at(region.bytes.start)..self.units.at(region.bytes.end);
            if units.is_empty() {
                continue;
            }
            let fits = self.units.tokens(units.clone()) <= self.options.max_tokens;
            let parts = match region.members {
                Some(members) if !fits && region.depth < MAX_DEPTH => self.parts(&region, members),
                _ => Vec::new(),
            };
            if parts.is_empty() {
                let Region { place, level, head_only, .. } = region;
                self.pieces.push(Piece { units, place, level, head_only });
            } else {
                stack.extend(parts.into_iter().rev());
            }
        }
    }

    /// The head of a region and its members, without gap. Empty if it has no members.
    fn parts<'tree>(&mut self, region: &Region<'tree>, members: Node<'tree>) -> Vec<Region<'tree>> {
        let starts = member_starts(members, self.text, &region.bytes);
        let Some(&(first, _)) = starts.first() else {
            return Vec::new();
        };
        self.levels += 1;
        let level = self.levels;
        let part = |bytes, members, place, head_only| Region {
            bytes,
            members,
            place,
            level,
            depth: region.depth + 1,
            head_only,
        };
        let mut parts = Vec::with_capacity(starts.len() + 1);
        if first > region.bytes.start {
            // Above the first item of a file stand only comments: they are no head of what follows.
            parts.push(part(region.bytes.start..first, None, region.place, region.depth > 0));
        }
        for (index, &(start, node)) in starts.iter().enumerate() {
            let end = starts.get(index + 1).map_or(region.bytes.end, |&(next, _)| next);
            let item = name::unwrapped(node);
            let place = self.outline.add(region.place, &name::of(item, self.text).unwrap_or_default());
            parts.push(part(start..end, name::members(item), place, false));
        }
        parts
    }
}

/// The members of a node that begin on a line of their own, with where they begin: at the line of the first
/// comment, attribute or decorator before them.
fn member_starts<'tree>(container: Node<'tree>, text: &str, within: &Range<usize>) -> Vec<(usize, Node<'tree>)> {
    let mut starts: Vec<(usize, Node<'tree>)> = Vec::new();
    let mut leading: Option<usize> = None;
    let mut cursor = container.walk();
    let mut more = cursor.goto_first_child();
    while more {
        let node = cursor.node();
        let line = line_start(text, node.start_byte()).filter(|line| *line >= within.start);
        if node.is_named() {
            match (name::is_leading(node), line) {
                (true, line) => leading = leading.or(line),
                // Without `line` it stands on the line of a comment of its own, or of the item before: part of that.
                (false, line) => starts.extend(leading.take().or(line).map(|start| (start, node))),
            }
        }
        more = cursor.goto_next_sibling();
    }
    starts.dedup_by_key(|(start, _)| *start);
    starts
}
