//! Several schemes at once: a request is authentic if it is for every one of them.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::HeaderMap;

use super::key::{Key, Material};
use super::scheme::{Content, Coverage, Outgoing, Scheme, SignatureScope, UrlToken, VerifyInputs};
use super::{AuthError, KeyError, RequestHead, SignError, Unverified};
use crate::domain::secret::Secret;

/// A combination of schemes. Its only key is [`Key::each`].
pub struct AllScheme(pub Vec<Arc<dyn Scheme>>);

impl AllScheme {
    /// Returns each scheme with its own keys.
    fn each<'a>(&'a self, keys: &'a [Key]) -> impl Iterator<Item = (&'a dyn Scheme, &'a [Key])> {
        let groups = match keys {
            [Key(Material::Each(groups))] => &groups[..],
            _ => &[],
        };
        let schemes = self.0.iter().enumerate();
        schemes.map(|(at, scheme)| (&**scheme, groups.get(at).map_or(&[][..], |keys| keys)))
    }

    fn derive(
        &self,
        derive: impl Fn(&dyn Scheme) -> Result<Key, KeyError>,
    ) -> Result<Key, KeyError> {
        let keys = self.0.iter().map(|scheme| Ok(vec![derive(&**scheme)?]));
        Ok(Key::each(keys.collect::<Result<_, _>>()?))
    }
}

impl Scheme for AllScheme {
    fn kind(&self) -> &'static str {
        "all"
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        self.derive(|scheme| scheme.key(secret))
    }

    fn stand_in_key(&self, word: &Secret) -> Key {
        let key = self.derive(|scheme| Ok(scheme.stand_in_key(word)));
        key.unwrap_or_else(|error| unreachable!("{error}"))
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        let mut strongest = SignatureScope::Nothing;
        for (scheme, keys) in self.each(inputs.keys) {
            let scope = scheme.verify(request, &VerifyInputs { keys, ..*inputs })?;
            if strength(&scope) > strength(&strongest) {
                strongest = scope;
            }
        }
        Ok(strongest)
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        let mut each = self.each(inputs.keys);
        each.try_for_each(|(scheme, keys)| {
            scheme.check_head(head, &VerifyInputs { keys, ..*inputs })
        })
    }

    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let mut each = self.each(inputs.keys);
        each.try_for_each(|(scheme, keys)| {
            scheme.sign(request, &VerifyInputs { keys, ..*inputs }, headers)
        })
    }

    fn coverage(&self) -> Coverage {
        let all = self.0.iter().map(|scheme| scheme.coverage());
        all.fold(Coverage::SENDER, Coverage::union)
    }

    fn weakness(&self, content: Content) -> Option<Cow<'static, str>> {
        let kinds: Vec<_> = self.0.iter().map(|scheme| scheme.kind()).collect();
        self.coverage().weakness(&kinds.join(" and "), content)
    }

    fn covers_url(&self) -> bool {
        self.0.iter().any(|scheme| scheme.covers_url())
    }

    fn is_compound(&self) -> bool {
        true
    }

    fn challenge(&self) -> Option<&'static str> {
        self.0.iter().find_map(|scheme| scheme.challenge())
    }

    fn url_token<'k>(&self, keys: &'k [Key]) -> Option<UrlToken<'_, 'k>> {
        let [Key(Material::Each(groups))] = keys else { return None };
        let mut each = self.0.iter().zip(groups);
        each.find_map(|(scheme, keys)| scheme.url_token(keys))
    }
}

/// Orders what signatures cover. The one with a time comes before others.
fn strength(scope: &SignatureScope) -> u8 {
    match scope {
        SignatureScope::Body { signed_at: Some(_), .. } => 4,
        SignatureScope::Body { signed_at: None, .. } => 3,
        SignatureScope::CallId { .. } => 2,
        SignatureScope::Sender { .. } => 1,
        SignatureScope::Nothing => 0,
    }
}
