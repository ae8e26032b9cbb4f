//! The regions of each partition that are known to this version. If a caller may not list the
//! enabled ones, each is asked by itself.

use crate::model::Region;

/// The regions in which CloudTrail is offered (AWS General Reference, "AWS CloudTrail endpoints and
/// quotas", 2026).
const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The known regions of a partition.
pub fn regions_of(partition: &str) -> impl Iterator<Item = Region> + '_ {
    let known = REGIONS.iter().filter_map(|region| region.parse::<Region>().ok());
    known.filter(move |region| region.partition() == partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_of_the_table_is_one_and_has_its_partition() {
        assert!(REGIONS.is_sorted());
        assert!(REGIONS.iter().all(|region| region.parse::<Region>().is_ok()));
        let names = |partition: &str| regions_of(partition).map(|region| region.to_string()).collect::<Vec<_>>();
        assert_eq!(names("aws-cn"), ["cn-north-1", "cn-northwest-1"]);
        assert_eq!(names("aws-us-gov"), ["us-gov-east-1", "us-gov-west-1"]);
        assert_eq!(names("aws").len(), REGIONS.len() - 4);
    }
}
