//! The columns of the table: those of the table that AWS's documentation has Athena make for CloudTrail
//! logs, the record itself, and its proof.
//!
//! Amazon Athena user guide, "Query AWS CloudTrail logs", with `eventcontext` and `insightdetails` of
//! newer records. Fields without a fixed form are JSON text there, as they are here.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::errors::Result;
use parquet::schema::types::{Type, TypePtr};

/// A column, or a field of one.
pub(super) struct Column {
    /// The name: that of the record's field in lower case.
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

/// The form of a column's values.
pub(super) enum Shape {
    /// Text: the content of a string, and the JSON text of any other value.
    Text,
    /// An object with these fields.
    Object(&'static [Column]),
    /// An array of objects with these fields.
    Array(&'static [Column]),
    /// An object with any fields.
    Map,
}

impl Shape {
    /// The number of columns of a file that hold the values.
    pub(super) const fn leaves(&self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Map => 2,
            Self::Object(columns) | Self::Array(columns) => leaves(columns),
        }
    }
}

pub(super) const fn leaves(columns: &[Column]) -> u8 {
    // Iterators are not there in constants.
    let (mut sum, mut index) = (0, 0);
    while index < columns.len() {
        sum += columns[index].shape.leaves();
        index += 1;
    }
    sum
}

const fn text(name: &'static str) -> Column {
    Column { name, shape: Shape::Text }
}

const fn object(name: &'static str, fields: &'static [Column]) -> Column {
    Column { name, shape: Shape::Object(fields) }
}

/// The columns that hold the fields of a record.
pub(super) const FIELDS: &[Column] = &[
    text("eventversion"),
    object(
        "useridentity",
        &[
            text("type"),
            text("principalid"),
            text("arn"),
            text("accountid"),
            text("invokedby"),
            text("accesskeyid"),
            text("username"),
            object("onbehalfof", &[text("userid"), text("identitystorearn")]),
            object(
                "sessioncontext",
                &[
                    object("attributes", &[text("mfaauthenticated"), text("creationdate")]),
                    object(
                        "sessionissuer",
                        &[text("type"), text("principalid"), text("arn"), text("accountid"), text("username")],
                    ),
                    text("ec2roledelivery"),
                    object(
                        "webidfederationdata",
                        &[text("federatedprovider"), Column { name: "attributes", shape: Shape::Map }],
                    ),
                ],
            ),
        ],
    ),
    text("eventtime"),
    text("eventsource"),
    text("eventname"),
    text("awsregion"),
    text("sourceipaddress"),
    text("useragent"),
    text("errorcode"),
    text("errormessage"),
    text("requestparameters"),
    text("responseelements"),
    text("additionaleventdata"),
    text("requestid"),
    text("eventid"),
    text("readonly"),
    Column { name: "resources", shape: Shape::Array(&[text("arn"), text("accountid"), text("type")]) },
    text("eventtype"),
    text("apiversion"),
    text("recipientaccountid"),
    text("serviceeventdetails"),
    text("sharedeventid"),
    text("vpcendpointid"),
    text("vpcendpointaccountid"),
    text("eventcategory"),
    object("addendum", &[text("reason"), text("updatedfields"), text("originalrequestid"), text("originaleventid")]),
    text("sessioncredentialfromconsole"),
    text("edgedevicedetails"),
    object("tlsdetails", &[text("tlsversion"), text("ciphersuite"), text("clientprovidedhostheader")]),
    text("eventcontext"),
    text("insightdetails"),
];

/// The name of the column with the record's original bytes.
pub(super) const RAW: &str = "raw";
/// The texts of a record's proof, before its index.
pub(super) const PROOF: [&str; 6] = ["bucket", "key", "sha256", "digest", "account", "region"];

/// The place of the column with the original bytes among those of a file.
pub(super) const RAW_LEAF: u8 = leaves(FIELDS);
/// The place of the first text of the proof.
pub(super) const PROOF_LEAF: u8 = RAW_LEAF + 1;
/// The place of the index.
#[expect(clippy::cast_possible_truncation, reason = "six")]
pub(super) const INDEX_LEAF: u8 = PROOF_LEAF + PROOF.len() as u8;

/// The schema of the files.
pub(super) fn schema() -> Result<TypePtr> {
    let mut columns = FIELDS.iter().map(column).collect::<Result<Vec<_>>>()?;
    columns.push(leaf(RAW, Repetition::REQUIRED)?);
    let mut proof = PROOF.iter().map(|name| leaf(name, Repetition::REQUIRED)).collect::<Result<Vec<_>>>()?;
    let index = Type::primitive_type_builder("index", PhysicalType::INT64).with_repetition(Repetition::REQUIRED);
    proof.push(Arc::new(index.build()?));
    columns.push(group("proof", Repetition::REQUIRED, None, proof)?);
    Ok(Arc::new(Type::group_type_builder("event").with_fields(columns).build()?))
}

fn column(column: &Column) -> Result<TypePtr> {
    const OPTIONAL: Repetition = Repetition::OPTIONAL;
    const REQUIRED: Repetition = Repetition::REQUIRED;
    const REPEATED: Repetition = Repetition::REPEATED;
    let fields = |columns: &[Column]| columns.iter().map(self::column).collect::<Result<Vec<_>>>();
    match &column.shape {
        Shape::Text => leaf(column.name, OPTIONAL),
        Shape::Object(columns) => group(column.name, OPTIONAL, None, fields(columns)?),
        // The names inside of lists and maps: those of the format's own description.
        Shape::Array(columns) => {
            let element = group("element", OPTIONAL, None, fields(columns)?)?;
            let list = group("list", REPEATED, None, vec![element])?;
            group(column.name, OPTIONAL, Some((LogicalType::List, ConvertedType::LIST)), vec![list])
        }
        Shape::Map => {
            let entry = vec![leaf("key", REQUIRED)?, leaf("value", OPTIONAL)?];
            let entries = group("key_value", REPEATED, None, entry)?;
            group(column.name, OPTIONAL, Some((LogicalType::Map, ConvertedType::MAP)), vec![entries])
        }
    }
}

fn leaf(name: &str, repetition: Repetition) -> Result<TypePtr> {
    let text = Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY).with_repetition(repetition);
    let text = text.with_logical_type(Some(LogicalType::String)).with_converted_type(ConvertedType::UTF8);
    Ok(Arc::new(text.build()?))
}

fn group(
    name: &str,
    repetition: Repetition,
    kind: Option<(LogicalType, ConvertedType)>,
    fields: Vec<TypePtr>,
) -> Result<TypePtr> {
    let mut group = Type::group_type_builder(name).with_repetition(repetition).with_fields(fields);
    if let Some((logical, converted)) = kind {
        group = group.with_logical_type(Some(logical)).with_converted_type(converted);
    }
    Ok(Arc::new(group.build()?))
}
