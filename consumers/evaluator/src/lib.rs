//! Compares a candidate with the model in production, and says whether it may follow it.
