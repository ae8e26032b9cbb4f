//! A helper to lock mutexes.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also where an earlier holder has panicked: no holder in this crate leaves its
/// value half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
