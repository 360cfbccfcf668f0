//! Every probe that ships, one folder each.
#![forbid(unsafe_code)]

mod baseinfo;
