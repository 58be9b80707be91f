//! A disk that forgets, tears, reorders and fails.
