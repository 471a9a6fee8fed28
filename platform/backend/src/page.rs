/// A part of a list, and where the next part begins. `C` is a position in the list: that of its last item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// The position after which the next part begins; none at the end of the list.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// The first `limit` of these items, each with its position. One more than `limit` was asked for, so that an item
    /// too many says that the list goes on.
    pub fn of(mut items: Vec<(T, C)>, limit: usize) -> Self {
        let goes_on = items.len() > limit;
        items.truncate(limit);
        let (items, positions): (Vec<T>, Vec<C>) = items.into_iter().unzip();
        Self { items, next: positions.into_iter().next_back().filter(|_| goes_on) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_begins_unless_it_is_the_last() {
        let items = || vec![("a", 1), ("b", 2), ("c", 3)];
        assert_eq!(Page::of(items(), 2), Page { items: vec!["a", "b"], next: Some(2) });
        assert_eq!(Page::of(items(), 3), Page { items: vec!["a", "b", "c"], next: None });
        assert_eq!(Page::<&str, u8>::of(Vec::new(), 3), Page { items: Vec::new(), next: None });
    }
}
