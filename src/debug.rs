//! `Debug` for types whose fields say nothing useful, or are secrets.

/// Implements [`std::fmt::Debug`] for types, showing their names alone.
macro_rules! opaque_debug {
    ($($name:ident $(<$($parameter:ident $(: $bound:path)?),+>)?),+ $(,)?) => {
        $(
            impl $(<$($parameter $(: $bound)?),+>)? std::fmt::Debug for $name $(<$($parameter),+>)? {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.debug_struct(stringify!($name)).finish_non_exhaustive()
                }
            }
        )+
    };
}

pub(crate) use opaque_debug;
