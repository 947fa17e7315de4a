//! The bearer token.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::Problem;

/// The digest of the token that requests must carry, or none when none is needed.
#[derive(Debug, Clone)]
pub struct RequiredToken(Option<[u8; 32]>);

impl RequiredToken {
    /// Requires this token, where there is one.
    #[must_use]
    pub fn new(token: Option<&str>) -> Self {
        Self(token.map(|token| Sha256::digest(token).into()))
    }

    /// Whether a request with this `Authorization` header may pass. Digests are compared, in
    /// constant time: neither the length nor a common beginning of the token shows.
    fn admits(&self, header: Option<&str>) -> bool {
        let Some(required) = &self.0 else {
            return true;
        };
        let given = header.and_then(|header| header.split_once(' '));
        let Some((scheme, token)) = given else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(token.trim_start()).into();
        scheme.eq_ignore_ascii_case("bearer") && bool::from(digest.ct_eq(required))
    }
}

/// Lets a request pass that carries the token.
pub async fn require(
    State(required): State<RequiredToken>,
    request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    if required.admits(header) {
        next.run(request).await
    } else {
        Problem::unauthorized().into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_admitted() {
        let required = RequiredToken::new(Some("secret"));
        for header in ["Bearer secret", "bearer secret", "Bearer  secret"] {
            assert!(required.admits(Some(header)), "{header}");
        }
        for header in ["Bearer secre", "Bearer secret2", "Basic secret", "secret", "Bearer "] {
            assert!(!required.admits(Some(header)), "{header}");
        }
        assert!(!required.admits(None));
        assert!(RequiredToken::new(None).admits(None));
    }
}
