//! Every error of the windows as a problem document.
//!
//! In: what went wrong in a handler. Out: a response with the status, the code and a hint. Must
//! never show more of the inside than the sentence of the error itself.

use crate::DoorError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ports::store::StoreError;
use view::Problem;

/// A problem on its way out.
#[derive(Debug)]
pub(crate) struct Trouble(Box<Problem>);

/// What every handler returns.
pub(crate) type Outcome = Result<Response, Trouble>;

impl Trouble {
    fn of(problem: Problem) -> Self {
        Self(Box::new(problem))
    }

    /// The request cannot be understood.
    pub(crate) fn bad_request(detail: impl Into<String>, hint: &str) -> Self {
        Self::of(Problem::new(
            400,
            "bad-request",
            "Request not understood",
            detail.into(),
            hint,
        ))
    }

    /// The body cannot be understood.
    pub(crate) fn bad_body(status: StatusCode, detail: String, hint: &str) -> Self {
        Self::of(Problem::new(
            status.as_u16(),
            "bad-body",
            "Body not understood",
            detail,
            hint,
        ))
    }

    /// There is no such object.
    pub(crate) fn not_found(detail: String, hint: &str) -> Self {
        Self::of(Problem::new(404, "not-found", "Not found", detail, hint))
    }

    /// There is no such path.
    pub(crate) fn unknown_path(path: &str) -> Self {
        let detail = format!("nothing is served at {path}");
        let hint = "GET /api/v1 lists what is served";
        Self::of(Problem::new(
            404,
            "unknown-path",
            "Unknown path",
            detail,
            hint,
        ))
    }

    /// The path exists, the method does not.
    pub(crate) fn method(method: &str, path: &str) -> Self {
        let detail = format!("{path} does not take {method}");
        let hint = "read with GET; POST only to what GET /api/v1 lists with POST";
        Self::of(Problem::new(
            405,
            "method-not-allowed",
            "Method not allowed",
            detail,
            hint,
        ))
    }

    /// The engine says no.
    pub(crate) fn refused(detail: String, hint: &str) -> Self {
        Self::of(Problem::new(409, "refused", "Refused", detail, hint))
    }

    /// The request comes from a page that is not ours.
    pub(crate) fn foreign(detail: String) -> Self {
        let hint = "address the server as localhost or by the address it listens on";
        Self::of(Problem::new(
            403,
            "foreign-host",
            "Foreign host",
            detail,
            hint,
        ))
    }

    /// The instance is not up.
    pub(crate) fn not_ready() -> Self {
        let detail = "the instance is starting or stopping".to_owned();
        Self::of(Problem::new(
            503,
            "not-ready",
            "Not ready",
            detail,
            "ask again in a second",
        ))
    }

    /// A handler broke.
    pub(crate) fn bug(detail: String) -> Self {
        let hint = "this is a bug: report it with the request and this text";
        Self::of(Problem::new(500, "bug", "Internal error", detail, hint))
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let (status, code, title, hint) = match &error {
            StoreError::Busy { .. } => (503, "store-busy", "Store busy", "ask again in a second"),
            StoreError::Away { .. } => (503, "store-away", "Store away", "ask again in a minute"),
            StoreError::Full { .. } => (507, "store-full", "No space left", "free some space"),
            StoreError::Fenced { .. } => (
                503,
                "fenced",
                "Another instance took over",
                "ask the instance that holds the epoch",
            ),
            StoreError::Suspect { .. } => (
                500,
                "storage-suspect",
                "Storage failed",
                "check the disk before a restart",
            ),
            StoreError::Unwritten { .. } => (
                500,
                "store-unwritten",
                "Store cannot be written",
                "check its disk, permissions and mount",
            ),
            StoreError::Corrupt { .. } => (
                500,
                "row-corrupt",
                "Row unreadable",
                "report it with this text",
            ),
            StoreError::Held { .. } => (
                409,
                "state-held",
                "Another instance works here",
                "ask that one, or stop it first",
            ),
            StoreError::Other { .. } => {
                (500, "store", "Store failed", "the detail says what it said")
            }
        };
        Self::of(Problem::new(status, code, title, error.to_string(), hint))
    }
}

impl From<DoorError> for Trouble {
    fn from(error: DoorError) -> Self {
        let (code, title) = match &error {
            DoorError::Closed { .. } => ("not-ready", "Not ready"),
            DoorError::Unknown { .. } => ("no-answer", "No answer in time"),
        };
        Self::of(Problem::new(
            503,
            code,
            title,
            error.to_string(),
            "ask again; asking twice is safe",
        ))
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self.0)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
