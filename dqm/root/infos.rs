//! The `StreamerInfo` of a file: what ROOT has to know of the classes in it, so that versions of
//! ROOT that have changed them still read it. In comes nothing, out comes the list that ROOT 6.40
//! writes for the same classes (its rules for reading files of the 1990s left out).

use super::bytes::Bytes;

/// How a member is described: one class of ROOT each, with its version.
#[derive(Clone, Copy)]
enum Kind {
    Base {
        version: u32,
    },
    Basic,
    Object,
    Any,
    Text,
    Pointer,
    /// A pointer to as many numbers as `fBufferSize` of `TH1` says.
    Numbers,
}

/// A number for the kind of type, bytes in memory, name of the type.
type Type = (u32, u32, &'static str);

struct Member {
    kind: Kind,
    name: &'static str,
    title: &'static str,
    of_type: Type,
    /// Of the base class, else 0.
    checksum: u32,
}

struct Class {
    name: &'static str,
    version: u32,
    checksum: u32,
    members: &'static [Member],
}

const SHORT: Type = (2, 2, "short");
const INT: Type = (3, 4, "int");
const FLOAT: Type = (5, 4, "float");
const DOUBLE: Type = (8, 8, "double");
const UNSIGNED_SHORT: Type = (12, 2, "unsigned short");
const UNSIGNED: Type = (13, 4, "unsigned int");
const BOOL: Type = (18, 1, "bool");
const TEXT: Type = (65, 24, "TString");
const ARRAY: Type = (62, 24, "TArrayD");
const AXIS: Type = (61, 216, "TAxis");

const fn class(
    name: &'static str,
    version: u32,
    checksum: u32,
    members: &'static [Member],
) -> Class {
    Class {
        name,
        version,
        checksum,
        members,
    }
}

const fn member(kind: Kind, name: &'static str, title: &'static str, of_type: Type) -> Member {
    Member {
        kind,
        name,
        title,
        of_type,
        checksum: 0,
    }
}

const fn basic(name: &'static str, title: &'static str, of_type: Type) -> Member {
    member(Kind::Basic, name, title, of_type)
}

/// A base class; `TObject` and `TNamed` have kinds of their own.
const fn base(
    name: &'static str,
    title: &'static str,
    bytes: u32,
    version: u32,
    checksum: u32,
) -> Member {
    let kind = match name.as_bytes() {
        b"TObject" => 66,
        b"TNamed" => 67,
        _ => 0,
    };
    let of_type = (kind, bytes, "BASE");
    Member {
        kind: Kind::Base { version },
        name,
        title,
        of_type,
        checksum,
    }
}

#[rustfmt::skip] // a line a member
const CLASSES: &[Class] = &[
    class("TH1D", 3, 0xf9b1569f, &[
        base("TH1", "1-Dim histogram base class", 976, 8, 0x1c3740c4),
        base("TArrayD", "Array of doubles", 24, 1, 0x7139ef34),
    ]),
    class("TH1", 8, 0x1c3740c4, &[
        base("TNamed", "The basis for a named object (name, title)", 64, 1, 0xdfb74a3c),
        base("TAttLine", "Line attributes", 16, 2, 0x94074549),
        base("TAttFill", "Fill area attributes", 16, 2, 0xffd92a92),
        base("TAttMarker", "Marker attributes", 16, 3, 0x291d8bec),
        basic("fNcells", "Number of bins(1D), cells (2D) +U/Overflows", INT),
        member(Kind::Object, "fXaxis", "X axis descriptor", AXIS),
        member(Kind::Object, "fYaxis", "Y axis descriptor", AXIS),
        member(Kind::Object, "fZaxis", "Z axis descriptor", AXIS),
        basic("fBarOffset", "(1000*offset) for bar charts or legos", SHORT),
        basic("fBarWidth", "(1000*width) for bar charts or legos", SHORT),
        basic("fEntries", "Number of entries", DOUBLE),
        basic("fTsumw", "Total Sum of weights", DOUBLE),
        basic("fTsumw2", "Total Sum of squares of weights", DOUBLE),
        basic("fTsumwx", "Total Sum of weight*X", DOUBLE),
        basic("fTsumwx2", "Total Sum of weight*X*X", DOUBLE),
        basic("fMaximum", "Maximum value for plotting", DOUBLE),
        basic("fMinimum", "Minimum value for plotting", DOUBLE),
        basic("fNormFactor", "Normalization factor", DOUBLE),
        member(Kind::Any, "fContour", "Array to display contour levels", ARRAY),
        member(Kind::Any, "fSumw2", "Array of sum of squares of weights", ARRAY),
        member(Kind::Text, "fOption", "Histogram options", TEXT),
        member(Kind::Pointer, "fFunctions", "->Pointer to list of functions (fits and user)", (63, 8, "TList*")),
        basic("fBufferSize", "fBuffer size", (6, 4, "int")),
        member(Kind::Numbers, "fBuffer", "[fBufferSize] entry buffer", (48, 8, "double*")),
        basic("fBinStatErrOpt", "Option for bin statistical errors", (3, 4, "TH1::EBinErrorOpt")),
        basic("fStatOverflows", "Per object flag to use under/overflows in statistics", (3, 4, "TH1::EStatOverflows")),
    ]),
    class("TNamed", 1, 0xdfb74a3c, &[
        base("TObject", "Basic ROOT object", 16, 1, 0x901bc02d),
        member(Kind::Text, "fName", "object identifier", TEXT),
        member(Kind::Text, "fTitle", "object title", TEXT),
    ]),
    class("TObject", 1, 0x901bc02d, &[
        basic("fUniqueID", "object unique identifier", UNSIGNED),
        basic("fBits", "bit field status word", (15, 4, "unsigned int")),
    ]),
    class("TAttLine", 2, 0x94074549, &[
        basic("fLineColor", "Line color", SHORT),
        basic("fLineStyle", "Line style", SHORT),
        basic("fLineWidth", "Line width", SHORT),
    ]),
    class("TAttFill", 2, 0xffd92a92, &[
        basic("fFillColor", "Fill area color", SHORT),
        basic("fFillStyle", "Fill area style", SHORT),
    ]),
    class("TAttMarker", 3, 0x291d8bec, &[
        basic("fMarkerColor", "Marker color", SHORT),
        basic("fMarkerStyle", "Marker style", SHORT),
        basic("fMarkerSize", "Marker size", FLOAT),
    ]),
    class("TAxis", 10, 0x5a496e70, &[
        base("TNamed", "The basis for a named object (name, title)", 64, 1, 0xdfb74a3c),
        base("TAttAxis", "Axis attributes", 48, 4, 0x5c6fff3e),
        basic("fNbins", "Number of bins", INT),
        basic("fXmin", "Low edge of first bin", DOUBLE),
        basic("fXmax", "Upper edge of last bin", DOUBLE),
        member(Kind::Any, "fXbins", "Bin edges array in X", ARRAY),
        basic("fFirst", "First bin to display", INT),
        basic("fLast", "Last bin to display", INT),
        basic("fBits2", "Second bit status word", UNSIGNED_SHORT),
        basic("fTimeDisplay", "On/off displaying time values instead of numerics", BOOL),
        member(Kind::Text, "fTimeFormat", "Date&time format, ex: 09/12/99 12:34:00", TEXT),
        member(Kind::Pointer, "fLabels", "List of labels", (64, 8, "THashList*")),
        member(Kind::Pointer, "fModLabs", "List of modified labels", (64, 8, "TList*")),
    ]),
    class("TAttAxis", 4, 0x5c6fff3e, &[
        basic("fNdivisions", "Number of divisions(10000*n3 + 100*n2 + n1)", INT),
        basic("fAxisColor", "Color of the line axis", SHORT),
        basic("fLabelColor", "Color of labels", SHORT),
        basic("fLabelFont", "Font for labels", SHORT),
        basic("fLabelOffset", "Offset of labels", FLOAT),
        basic("fLabelSize", "Size of labels", FLOAT),
        basic("fTickLength", "Length of tick marks", FLOAT),
        basic("fTitleOffset", "Offset of axis title", FLOAT),
        basic("fTitleSize", "Size of axis title", FLOAT),
        basic("fTitleColor", "Color of axis title", SHORT),
        basic("fTitleFont", "Font for axis title", SHORT),
    ]),
    class("THashList", 0, 0xcc7e49c1, &[
        base("TList", "Doubly linked list", 104, 5, 0x69c5c3bb),
    ]),
    class("TList", 5, 0x69c5c3bb, &[
        base("TSeqCollection", "Sequenceable collection ABC", 48, 0, 0xfc6c3bc6),
    ]),
    class("TSeqCollection", 0, 0xfc6c3bc6, &[
        base("TCollection", "Collection abstract base class", 48, 3, 0x57e3cb9c),
    ]),
    class("TCollection", 3, 0x57e3cb9c, &[
        base("TObject", "Basic ROOT object", 16, 1, 0x901bc02d),
        member(Kind::Text, "fName", "name of the collection", TEXT),
        basic("fSize", "number of elements in collection", INT),
    ]),
    class("TString", 2, 0x00017419, &[
    ]),
    class("TH2D", 4, 0x7fba82f0, &[
        base("TH2", "2-Dim histogram base class", 1008, 5, 0x0182347f),
        base("TArrayD", "Array of doubles", 24, 1, 0x7139ef34),
    ]),
    class("TH2", 5, 0x0182347f, &[
        base("TH1", "1-Dim histogram base class", 976, 8, 0x1c3740c4),
        basic("fScalefactor", "Scale factor", DOUBLE),
        basic("fTsumwy", "Total Sum of weight*Y", DOUBLE),
        basic("fTsumwy2", "Total Sum of weight*Y*Y", DOUBLE),
        basic("fTsumwxy", "Total Sum of weight*X*Y", DOUBLE),
    ]),
    class("TProfile", 7, 0x4bedee54, &[
        base("TH1D", "1-Dim histograms (one double per channel)", 1000, 3, 0xf9b1569f),
        member(Kind::Any, "fBinEntries", "number of entries per bin", ARRAY),
        basic("fErrorMode", "Option to compute errors", (3, 4, "EErrorType")),
        basic("fYmin", "Lower limit in Y (if set)", DOUBLE),
        basic("fYmax", "Upper limit in Y (if set)", DOUBLE),
        basic("fTsumwy", "Total Sum of weight*Y", DOUBLE),
        basic("fTsumwy2", "Total Sum of weight*Y*Y", DOUBLE),
        member(Kind::Any, "fBinSumw2", "Array of sum of squares of weights per bin", ARRAY),
    ]),
    class("TObjString", 1, 0x9c8e4800, &[
        base("TObject", "Basic ROOT object", 16, 1, 0x901bc02d),
        member(Kind::Text, "fString", "wrapped TString", TEXT),
    ]),];

/// The list, to follow a key of so many bytes.
pub(super) fn infos(key_bytes: usize) -> Vec<u8> {
    let mut bytes = Bytes::after(key_bytes);
    bytes.class(5, |to| {
        to.root_object(0);
        to.string("");
        to.u32(CLASSES.len() as u32);
        for class in CLASSES {
            to.pointed("TStreamerInfo", |to| info(to, class));
            to.string("");
        }
    });
    bytes.into_bytes()
}

fn info(to: &mut Bytes, class: &Class) {
    to.class(10, |to| {
        to.named(1 << 16, class.name, "");
        to.u32(class.checksum);
        to.u32(class.version);
        to.pointed("TObjArray", |to| {
            to.class(3, |to| {
                to.root_object(0);
                to.string("");
                to.u32(class.members.len() as u32);
                to.u32(0);
                for member in class.members {
                    described(to, member);
                }
            });
        });
    });
}

fn described(to: &mut Bytes, member: &Member) {
    let (class, version) = match member.kind {
        Kind::Base { .. } => ("TStreamerBase", 3),
        Kind::Basic => ("TStreamerBasicType", 2),
        Kind::Object => ("TStreamerObject", 2),
        Kind::Any => ("TStreamerObjectAny", 2),
        Kind::Text => ("TStreamerString", 2),
        Kind::Pointer => ("TStreamerObjectPointer", 2),
        Kind::Numbers => ("TStreamerBasicPointer", 2),
    };
    to.pointed(class, |to| {
        to.class(version, |to| {
            element(to, member);
            match member.kind {
                Kind::Base { version } => to.u32(version),
                Kind::Numbers => {
                    to.u32(8);
                    to.string("fBufferSize");
                    to.string("TH1");
                }
                Kind::Basic | Kind::Object | Kind::Any | Kind::Text | Kind::Pointer => {}
            }
        });
    });
}

/// A `TStreamerElement`.
fn element(to: &mut Bytes, member: &Member) {
    let (number, bytes, type_name) = member.of_type;
    to.class(4, |to| {
        to.named(0, member.name, member.title);
        to.u32(number);
        to.u32(bytes);
        // No array: no length, no dimensions. The second of five sizes has the checksum of a base.
        for value in [0, 0, 0, member.checksum, 0, 0, 0] {
            to.u32(value);
        }
        to.string(type_name);
    });
}
