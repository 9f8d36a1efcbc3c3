//! The words spoken outside: serialisable, versioned.
