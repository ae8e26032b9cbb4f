//! The chain-of-custody report: what was examined, by whom and how, what that proves, and what it
//! does not prove.
//!
//! The facts are gathered once, from the records alone, and written as a page for people
//! ([`CustodyHtml`]), as JSON ([`CustodyJson`]) or as an in-toto statement ([`InToto`]). The
//! content follows NIST SP 800-86 (3.1.2, chain of custody and integrity), ISO/IEC 27037 (5.4, 6.1)
//! and RFC 3227 (4): who, what, when, where, why and how, and the integrity of what was collected.
//!
//! The same records always give the same bytes, so that a report can be made again and compared.

mod calendar;
mod facts;
mod file_list;
mod html;
mod intoto;
mod json;
mod made;
mod numbered;
mod overview;
mod timeline;
mod words;

pub use facts::Origin;
pub use html::CustodyHtml;
pub use intoto::{InToto, PAYLOAD_TYPE, SignEnvelope};
pub use json::CustodyJson;
pub use made::Made;
pub(super) use words::{limited, of_bag, recheck};
