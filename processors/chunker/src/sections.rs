//! Which stretches of a text keep to themselves: sections of prose, items of code.

use std::ops::Range;

use crate::markdown::Heading;
use crate::options::Options;
use crate::outline::{Outline, Place};
use crate::units::Units;

/// A stretch of units with one place in the outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its units.
    pub units: Range<usize>,
    /// What it stands under, itself included.
    pub place: Place,
    /// Pieces with the same value are neighbours on one level: top-level items, members of one class.
    pub level: usize,
    /// It is only the head of what follows: a heading without text, a class without its members.
    pub head_only: bool,
}

/// The sections of prose, by its headings.
pub(crate) fn of_prose(headings: &[Heading], units: &Units, outline: &mut Outline) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(headings.len() + 1);
    let mut open: Vec<(usize, Place)> = Vec::new();
    let first = headings.first().map_or(units.len(), |heading| units.at(heading.start));
    pieces.push(Piece { units: 0..first, place: None, level: 0, head_only: false });
    for (index, heading) in headings.iter().enumerate() {
        while open.pop_if(|(level, _)| *level >= heading.level).is_some() {}
        let parent = open.last().and_then(|(_, place)| *place);
        let place = outline.add(parent, &heading.text);
        open.push((heading.level, place));
        let end = headings.get(index + 1).map_or(units.len(), |next| units.at(next.start));
        let head_only = units.at(heading.end) >= end;
        pieces.push(Piece { units: units.at(heading.start)..end, place, level: 0, head_only });
    }
    pieces.retain(|piece| !piece.units.is_empty());
    pieces
}

/// Groups sections: each by itself, but a tiny one goes with the next (the last with the one before it) where
/// both fit, and a heading without text always goes with what follows.
pub(crate) fn group_sections(pieces: &[Piece], units: &Units, options: &Options) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let joins = groups.last().is_some_and(|group| {
            let so_far = pieces[group.start].units.start..pieces[group.end - 1].units.end;
            let both = units.tokens(so_far.start..piece.units.end);
            let tiny = units.tokens(so_far) < options.merge_below_tokens;
            let tiny_last = index + 1 == pieces.len() && units.tokens(piece.units.clone()) < options.merge_below_tokens;
            pieces[group.end - 1].head_only || (both <= options.max_tokens && (tiny || tiny_last))
        });
        extend_or_begin(&mut groups, index, joins);
    }
    groups
}

/// Groups items of code: neighbours on one level up to the limit, tiny ones across levels too, and the head of a
/// class or module with its first member.
pub(crate) fn group_items(pieces: &[Piece], units: &Units, options: &Options) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let joins = groups.last().is_some_and(|group| {
            let last = &pieces[group.end - 1];
            let so_far = pieces[group.start].units.start..last.units.end;
            let both = units.tokens(so_far.start..piece.units.end);
            let tiny = |range: Range<usize>| units.tokens(range) < options.merge_below_tokens;
            let near = last.level == piece.level || tiny(so_far.clone()) || tiny(piece.units.clone());
            let short_head = last.head_only && tiny(so_far);
            short_head || (near && !piece.head_only && both <= options.max_tokens)
        });
        extend_or_begin(&mut groups, index, joins);
    }
    groups
}

fn extend_or_begin(groups: &mut Vec<Range<usize>>, index: usize, joins: bool) {
    match groups.last_mut() {
        Some(group) if joins => group.end = index + 1,
        _ => groups.push(index..index + 1),
    }
}
