//! What a patch resulted in, read as the object that it has to be.

use serde_json::Value;

use crate::{
    object,
    server::{ApiServer, Patch, Target, WriteOptions, convert, custom, place, typed},
    status::Status,
    store::Key,
    types::Reader,
};

impl ApiServer {
    /// Reads a patched object as it would be read if it was sent.
    pub(super) fn read_patched(
        &self,
        object: &mut Value,
        (patch, shown): (&Patch, &dyn Fn() -> String),
        target: &Target,
        key: &Key,
        options: &WriteOptions,
    ) -> Result<(), Status> {
        let refused = |why: &str| typed::unreadable(&shown(), why);
        let Value::Object(fields) = &*object else { return Err(Status::unprocessable()) };
        // A strategic merge is one of Go's structs, whatever they say that they are.
        if !patch.is_strategic() && !convert::is_event(target) {
            place::read_type(fields).map_err(|why| refused(&why))?;
            self.read_kind(object, target, options, &refused)?;
        }
        if let Some(ty) = typed::stored_type(target).filter(|_| options.check_types) {
            let reader = if patch.is_strategic() { Reader::Converter } else { Reader::Json };
            typed::read_as(object, ty, reader, options, refused)?;
        }
        custom::decode(object, target, options, refused)?;
        place::check_place(object, key)
    }

    fn read_kind(
        &self,
        object: &mut Value,
        target: &Target,
        options: &WriteOptions,
        refused: &dyn Fn(&str) -> Status,
    ) -> Result<(), Status> {
        let (version, kind) = (object::text(object, &["apiVersion"]), object::text(object, &["kind"]));
        if target.resource.custom {
            let missing = || format!("Object 'Kind' is missing in '{object}'");
            return if kind.is_empty() { Err(refused(&missing())) } else { Ok(()) };
        }
        if version.is_empty() {
            return read_without_version(object, target, options, refused);
        }
        let wanted = &*target.resource.kind;
        if kind.is_empty() && version == target.api_version() {
            object::map_mut(object).insert("kind".to_owned(), wanted.into());
            return Ok(());
        }
        let kind = if kind.is_empty() { wanted } else { kind };
        if version == target.api_version() && kind == wanted {
            return Ok(());
        }
        Err(refused(&self.not_convertible((version, kind), &target.go_type(wanted))))
    }

    /// Why an object that says what it is cannot be read as another kind.
    pub(in crate::server) fn not_convertible(&self, (version, kind): (&str, &str), wanted: &str) -> String {
        if self.knows(version, kind) {
            let version = version.rsplit('/').next().unwrap_or_default();
            format!("converting ({version}.{kind}) to ({wanted}): unknown conversion")
        } else {
            format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"")
        }
    }
}

/// The real server takes it for an object in the form in which it works with it itself. That form has other names for
/// all fields but two, so nothing is left of the object.
fn read_without_version(
    object: &mut Value,
    target: &Target,
    options: &WriteOptions,
    refused: &dyn Fn(&str) -> Status,
) -> Result<(), Status> {
    let kind = object::text(object, &["kind"]);
    if !kind.is_empty() && kind != &*target.resource.kind {
        let group = &target.resource.stored_as.group;
        return Err(refused(&format!(
            "no kind {kind:?} is registered for the internal version of group {group:?} in scheme \
             \"pkg/runtime/scheme.go:111\""
        )));
    }
    let fields = object::map_mut(object);
    let unknown: Vec<String> =
        fields.keys().filter(|field| !["apiVersion", "kind"].contains(&field.as_str())).cloned().collect();
    fields.clear();
    typed::tell_unknown(&unknown, options, refused)
}
