//! The tree of headings, or of items of code, that chunks stand under.

/// An entry's place in the outline; none is the document itself.
pub(crate) type Place = Option<usize>;

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    parent: Place,
    depth: usize,
}

/// Headings or items with their parents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outline {
    entries: Vec<Entry>,
}

impl Outline {
    /// Adds an entry under a parent. One without a name counts for its parent.
    pub(crate) fn add(&mut self, parent: Place, name: &str) -> Place {
        if name.is_empty() {
            return parent;
        }
        self.entries.push(Entry { name: name.to_owned(), parent, depth: self.depth(parent) + 1 });
        Some(self.entries.len() - 1)
    }

    /// How many entries stand above and at this place.
    pub(crate) fn depth(&self, place: Place) -> usize {
        place.map_or(0, |index| self.entries[index].depth)
    }

    /// The innermost entry that both stand under.
    pub(crate) fn common(&self, left: Place, right: Place) -> Place {
        let (mut left, mut right) = (left, right);
        while left != right {
            if self.depth(left) >= self.depth(right) {
                left = self.parent(left);
            } else {
                right = self.parent(right);
            }
        }
        left
    }

    /// The names from the outermost entry to this one.
    pub(crate) fn path(&self, place: Place) -> Vec<String> {
        let ancestors = std::iter::successors(place, |&index| self.entries[index].parent);
        let mut names: Vec<String> = ancestors.map(|index| self.entries[index].name.clone()).collect();
        names.reverse();
        names
    }

    fn parent(&self, place: Place) -> Place {
        place.and_then(|index| self.entries[index].parent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_place_is_the_innermost_that_holds_both() {
        let mut outline = Outline::default();
        let one = outline.add(None, "one");
        let deep = outline.add(one, "deep");
        let deeper = outline.add(deep, "deeper");
        let other = outline.add(one, "other");
        assert_eq!(outline.common(deeper, other), one);
        assert_eq!(outline.common(deeper, deep), deep);
        assert_eq!(outline.common(deeper, None), None);
        assert_eq!(outline.path(deeper), ["one", "deep", "deeper"]);
        assert_eq!(outline.add(deep, ""), deep);
    }
}
