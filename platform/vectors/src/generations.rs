//! Which vectors are searched, which are being built, and what comes next: one small document, changed as a whole.
//!
//! A generation is the vectors of one model, under a number that is given once. How the index goes over to another:
//!
//! 1. **Prepare** names a second generation. From here on, a writer that holds a handle of the active one writes to both: a
//!    chunk counts in both, and its vector in the new one is pending; a deletion takes it out of both.
//! 2. **Fill** gives pending chunks their vectors, each only if the chunk is still what was embedded.
//! 3. **Verify** counts: no chunk is pending.
//! 4. **Switch** names the second generation as the active one. This is the write that decides. A handle of the first is
//!    refused from here on.
//! 5. **Drain** deletes the first. Nobody has to be waited for: whoever still reads it is refused, and renews.
//!
//! The functions here say what the document becomes, and do nothing. A store keeps it so that a change happens only if
//! it is still what was decided on: in a transaction, or by compare-and-set. A store without transactions (a collection
//! for each generation) keeps the promises of [`VectorIndex`](crate::VectorIndex) so:
//!
//! - A writer looks at the document again after its write. If that has changed, the write counts as not done.
//! - A searcher looks at it beside its search, and takes a collection that is gone for a generation that is.
//! - A builder that has put a chunk into the new collection looks whether the active one still has it, and takes it out
//!   if not.
//! - A switch begins with a mark in the document at which writers wait before they acknowledge, so that nothing is written
//!   between the count and the switch. Whoever has waited for too long takes the mark away, and then the switch does not
//!   happen.

use twin_embedding::EmbeddingModel;

use crate::Error;

/// The vectors of one model in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Grows with each generation, and is never given twice.
    pub number: u64,
    /// Whose vectors.
    pub model: EmbeddingModel,
}

/// What goes on beside the searches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nothing: there is one generation.
    Serving,
    /// This generation is being built.
    Building(Generation),
    /// This generation was active before, and is being deleted.
    Draining(Generation),
}

/// The generations of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generations {
    /// The one that is searched.
    pub active: Generation,
    /// What goes on beside the searches.
    pub phase: Phase,
    /// The highest number that was given.
    pub last_number: u64,
}

impl Generations {
    /// The generations of a new index.
    pub fn first(model: EmbeddingModel) -> Self {
        Self { active: Generation { number: 1, model }, phase: Phase::Serving, last_number: 1 }
    }

    /// The generation that is being built.
    pub fn building(&self) -> Option<&Generation> {
        match &self.phase {
            Phase::Building(generation) => Some(generation),
            Phase::Serving | Phase::Draining(_) => None,
        }
    }

    /// The generations that exist: the active one first.
    pub fn existing(&self) -> impl Iterator<Item = &Generation> {
        let beside = match &self.phase {
            Phase::Serving => None,
            Phase::Building(generation) | Phase::Draining(generation) => Some(generation),
        };
        [Some(&self.active), beside].into_iter().flatten()
    }

    /// Whether a handle of that generation may be used.
    pub fn expect_active(&self, generation: &Generation) -> Result<(), Error> {
        if self.active.number == generation.number {
            return Ok(());
        }
        Err(Error::Superseded { generation: generation.number, model: self.active.model.id.clone() })
    }

    /// For whoever opens the index with `model`, as it can be loaded now.
    pub fn open(&self, model: &EmbeddingModel) -> Result<Self, Error> {
        if !self.active.model.is_comparable_to(model) {
            let (found, wanted) = (Box::new(self.active.model.clone()), Box::new(model.clone()));
            return Err(Error::OtherModel { found, wanted });
        }
        let active = Generation { model: model.clone(), ..self.active };
        Ok(Self { active, ..self.clone() })
    }

    /// For a builder of vectors of `model`: the generation that it builds, none if the index is of this model. What an
    /// earlier builder of the same model has done is gone on from; what one of a third model has done is given up.
    pub fn prepare(&self, model: &EmbeddingModel) -> Result<(Self, Option<Generation>), Error> {
        if let Phase::Draining(_) = self.phase {
            return Err(Error::Draining);
        }
        if self.active.model.is_comparable_to(model) {
            return Ok((Self { phase: Phase::Serving, ..self.clone() }, None));
        }
        let begun = self.building().filter(|building| building.model.is_comparable_to(model));
        let number = begun.map_or(self.last_number + 1, |begun| begun.number);
        let building = Generation { number, model: model.clone() };
        let phase = Phase::Building(building.clone());
        Ok((Self { phase, last_number: self.last_number.max(number), active: self.active.clone() }, Some(building)))
    }

    /// Whether this generation is being built.
    pub fn expect_building(&self, generation: &Generation) -> Result<(), Error> {
        match self.building() {
            Some(building) if building.number == generation.number => Ok(()),
            _ => Err(Error::NotBuilding { generation: generation.number }),
        }
    }

    /// The generation that was built becomes the active one. A second time, nothing changes.
    pub fn switch(&self, built: &Generation) -> Result<Self, Error> {
        if self.active.number == built.number {
            return Ok(self.clone());
        }
        match &self.phase {
            Phase::Building(building) if building.number == built.number => Ok(Self {
                active: building.clone(),
                phase: Phase::Draining(self.active.clone()),
                last_number: self.last_number,
            }),
            _ => Err(Error::NotBuilding { generation: built.number }),
        }
    }

    /// What was active before is deleted.
    pub fn drained(&self) -> Self {
        match self.phase {
            Phase::Draining(_) => Self { phase: Phase::Serving, ..self.clone() },
            Phase::Serving | Phase::Building(_) => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model(name: u8) -> EmbeddingModel {
        EmbeddingModel { id: format!("m@{name}").parse().unwrap(), dimension: 3, settings: String::new() }
    }

    #[derive(Debug, Clone)]
    enum Command {
        Prepare(u8),
        /// Of the generation that was prepared so many preparations ago.
        Switch(usize),
        Drain,
    }

    fn command() -> impl Strategy<Value = Command> {
        prop_oneof![(0..3_u8).prop_map(Command::Prepare), (0..3_usize).prop_map(Command::Switch), Just(Command::Drain)]
    }

    proptest! {
        /// Several builders, in any order, some of them late.
        #[test]
        fn a_number_stands_for_one_model_and_the_active_generation_was_built(
            commands in prop::collection::vec(command(), 0..40)
        ) {
            let mut state = Generations::first(model(0));
            let mut prepared = vec![state.active.clone()];
            for command in commands {
                let before = state.clone();
                match command {
                    Command::Prepare(name) => {
                        if let Ok((next, building)) = state.prepare(&model(name)) {
                            prop_assert_eq!(next.building(), building.as_ref());
                            prepared.extend(building);
                            state = next;
                        }
                    }
                    Command::Switch(ago) => {
                        let Some(built) = prepared.iter().rev().nth(ago) else { continue };
                        match state.switch(built) {
                            Ok(next) => {
                                prop_assert!(next.active.number == built.number);
                                state = next;
                            }
                            Err(_) => prop_assert!(before.expect_building(built).is_err()),
                        }
                    }
                    Command::Drain => state = state.drained(),
                }
                prop_assert!(state.last_number >= before.last_number);
                for existing in state.existing() {
                    prop_assert!(existing.number <= state.last_number);
                    let same = |known: &&Generation| known.number == existing.number;
                    prop_assert!(prepared.iter().filter(same).all(|known| known.model == existing.model));
                }
                if state.active != before.active {
                    prop_assert_eq!(before.building(), Some(&state.active));
                    prop_assert_eq!(&state.phase, &Phase::Draining(before.active.clone()));
                    prop_assert!(state.expect_active(&before.active).is_err());
                }
            }
        }
    }

    #[test]
    fn going_back_to_a_model_makes_a_generation_of_its_own() {
        let first = Generations::first(model(0));
        let (state, second) = first.prepare(&model(1)).unwrap();
        let state = state.switch(&second.unwrap()).unwrap();
        assert!(matches!(state.prepare(&model(0)), Err(Error::Draining)));
        let (state, third) = state.drained().prepare(&model(0)).unwrap();
        let state = state.switch(&third.unwrap()).unwrap();
        assert_eq!((state.active.number, &state.active.model), (3, &first.active.model));
        assert!(state.expect_active(&first.active).is_err());
    }
}
