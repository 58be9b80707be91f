//! The IDL of the generated files. One invocation is one shape: type, schema, reader, writer.

/// `structure! { Name SCHEMA "ModelName" { 0 field: Type = Member::new(..), ... } }`
///
/// The number is the member's index; the generator keeps it equal to the position.
#[macro_export]
macro_rules! structure {
    ($name:ident $schema:ident $shape:literal { $($index:literal $field:ident: $type:ty = $member:expr,)* }) => {
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name { $(pub $field: $type,)* }

        // Schemas name each other as statics: as constants, recursive shapes would be a cycle.
        static $schema: $crate::schema::Schema = {
            static MEMBERS: &[$crate::schema::Member] = &[$($member),*];
            $crate::schema::Schema::structure($shape, MEMBERS)
        };

        const _: () = {

            impl $crate::shape::Shape for $name {
                const SCHEMA: &'static $crate::schema::Schema = &$schema;

                #[allow(unused_mut, unused_variables)]
                fn read(
                    r: &mut dyn $crate::shape::Reader,
                ) -> ::core::result::Result<Self, $crate::shape::ReadError> {
                    let mut it = Self::default();
                    let mut seen = $crate::shape::Seen::default();
                    r.structure(&$schema, &mut |index, r| {
                        seen.set(index);
                        match index {
                            $($index => it.$field = $crate::field::read_member(&$schema.members[$index], r)?,)*
                            _ => {}
                        }
                        ::core::result::Result::Ok(())
                    })?;
                    seen.finish(&$schema, r);
                    ::core::result::Result::Ok(it)
                }

                #[allow(unused_variables)]
                fn write(&self, w: &mut dyn $crate::shape::Writer) {
                    $($crate::field::Field::write(&self.$field, &$schema.members[$index], w);)*
                }
            }
        };

        $crate::shape_field! { $name }
    };
}

/// `union! { Name SCHEMA "ModelName" { 0 Variant: Type = Member::new(..), ... } }`
///
/// `Unknown` is a union with no member we know, `Several` one with more than one: what to answer
/// to those is the service's affair, AWS's sentences differ.
#[macro_export]
macro_rules! union {
    ($name:ident $schema:ident $shape:literal { $($index:literal $variant:ident: $type:ty = $member:expr,)* }) => {
        #[derive(Clone, Debug, Default, PartialEq)]
        pub enum $name { $($variant($type),)* Several, #[default] Unknown }

        static $schema: $crate::schema::Schema = {
            static MEMBERS: &[$crate::schema::Member] = &[$($member),*];
            $crate::schema::Schema::union($shape, MEMBERS)
        };

        const _: () = {

            impl $crate::shape::Shape for $name {
                const SCHEMA: &'static $crate::schema::Schema = &$schema;

                fn read(
                    r: &mut dyn $crate::shape::Reader,
                ) -> ::core::result::Result<Self, $crate::shape::ReadError> {
                    let mut it = Self::Unknown;
                    r.structure(&$schema, &mut |index, r| {
                        let value = match index {
                            $($index => Self::$variant(
                                $crate::field::read_member(&$schema.members[$index], r)?),)*
                            _ => Self::Unknown,
                        };
                        it = if matches!(it, Self::Unknown) { value } else { Self::Several };
                        ::core::result::Result::Ok(())
                    })?;
                    ::core::result::Result::Ok(it)
                }

                fn write(&self, w: &mut dyn $crate::shape::Writer) {
                    match self {
                        $(Self::$variant(value) =>
                            $crate::field::Field::write(value, &$schema.members[$index], w),)*
                        Self::Several | Self::Unknown => {}
                    }
                }
            }
        };

        $crate::shape_field! { $name }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! shape_field {
    ($name:ident) => {
        impl $crate::field::Field for $name {
            fn read(
                _: &'static $crate::schema::Member,
                r: &mut dyn $crate::shape::Reader,
            ) -> ::core::result::Result<Self, $crate::shape::ReadError> {
                <Self as $crate::shape::Shape>::read(r)
            }

            fn write(&self, m: &'static $crate::schema::Member, w: &mut dyn $crate::shape::Writer) {
                w.begin_structure(m);
                $crate::shape::Shape::write(self, w);
                w.end_structure(m);
            }
        }
    };
}

/// `open_enum! { TableStatus "TableStatus" { Active = "ACTIVE", ... } }`
#[macro_export]
macro_rules! open_enum {
    ($name:ident $shape:literal { $($variant:ident = $value:literal,)* }) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($variant,)* Unknown(String) }

        impl $name {
            pub const VALUES: &'static [&'static str] = &[$($value),*];
            pub const SCHEMA: &'static $crate::schema::Schema = {
                static SCHEMA: $crate::schema::Schema =
                    $crate::schema::Schema::enumeration($shape, $name::VALUES);
                &SCHEMA
            };

            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $value,)* Self::Unknown(value) => value }
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                match value { $($value => Self::$variant,)* _ => Self::Unknown(value.to_owned()) }
            }
        }

        impl From<String> for $name {
            fn from(value: String) -> Self {
                Self::from(value.as_str())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Unknown(String::new())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::field::Field for $name {
            fn read(
                m: &'static $crate::schema::Member,
                r: &mut dyn $crate::shape::Reader,
            ) -> ::core::result::Result<Self, $crate::shape::ReadError> {
                let value = r.string(m)?;
                $crate::validate::string(m, &value, r);
                Ok(Self::from(value.as_str()))
            }

            fn write(
                &self,
                m: &'static $crate::schema::Member,
                w: &mut dyn $crate::shape::Writer,
            ) {
                w.string(m, self.as_str());
            }
        }
    };
}

/// `operation! { PutItem(PutItemInput) -> PutItemOutput = OperationSchema { .. } }`
#[macro_export]
macro_rules! operation {
    ($name:ident($input:ident) -> $output:ident = $schema:ident { $($fields:tt)* }) => {
        pub struct $name;

        static $schema: $crate::schema::OperationSchema = $crate::schema::OperationSchema {
            service: &SERVICE,
            input: <$input as $crate::shape::Shape>::SCHEMA,
            output: <$output as $crate::shape::Shape>::SCHEMA,
            $($fields)*
        };

        impl $crate::shape::Operation for $name {
            type Input = $input;
            type Output = $output;
            const SCHEMA: &'static $crate::schema::OperationSchema = &$schema;
        }
    };
}
