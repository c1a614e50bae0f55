//! What the root types and the wire's open enums have in common.

/// Implements `kube::Resource` and `Serialize` for a root type with `metadata` and the listed fields.
///
/// `kube::CustomResource` is not derived, because its root type insists on `spec`, and one stored object without it
/// would blind the watch of the whole kind.
macro_rules! root {
    ($root:ident, $plural:literal, skip_default: [$($value:ident),*], skip_none: [$($option:ident = $name:literal),*]) => {
        impl kube::Resource for $root {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                stringify!($root).into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $crate::api::GROUP.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $crate::api::VERSION.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }

        impl serde::Serialize for $root {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("apiVersion", $crate::api::API_VERSION)?;
                map.serialize_entry("kind", stringify!($root))?;
                map.serialize_entry("metadata", &self.metadata)?;
                $(if !$crate::api::kind::is_default(&self.$value) {
                    map.serialize_entry(stringify!($value), &self.$value)?;
                })*
                $(if let Some(value) = &self.$option {
                    map.serialize_entry($name, value)?;
                })*
                map.end()
            }
        }
    };
}
pub(crate) use root;

/// Declares an enum that the API documents but does not enforce: any string is read and given back unchanged.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $(#[$first_meta:meta])* $first:ident = $first_text:literal
        $(, $(#[$variant_meta:meta])* $variant:ident = $text:literal)* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[$first_meta])*
            #[default]
            $first,
            $($(#[$variant_meta])* $variant,)*
            /// A value this version does not know; kept as it was read.
            Unknown(String),
        }

        impl $name {
            /// The value as it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                    Self::Unknown(value) => value,
                }
            }

            /// Whether this is the value that an absent field means.
            pub fn is_default(&self) -> bool {
                matches!(self, Self::$first)
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                match value {
                    $first_text => Self::$first,
                    $($text => Self::$variant,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                Ok(Self::from(value.as_ref()))
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }
    };
}
pub(crate) use open_enum;

/// Whether a value is the one that an absent field means.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
