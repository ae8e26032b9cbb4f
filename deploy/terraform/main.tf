# What ctverify needs to verify one trail, and nothing else: it reads the trail's bucket, asks CloudTrail, and writes its checkpoint to a
# bucket of its own.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "trail_bucket" {
  type        = string
  description = "The bucket that the trail delivers to"
}

variable "trail_prefix" {
  type        = string
  default     = ""
  description = "The key prefix before AWSLogs/, with a slash at its end; empty for none"
}

variable "state_bucket" {
  type        = string
  description = "The bucket that holds the checkpoint; not the trail's"
}

variable "state_key" {
  type        = string
  default     = "ctverify/checkpoint.json"
  description = "The key of the checkpoint"
}

variable "trusted_principal" {
  type        = string
  description = "The ARN of who may assume the role, such as the role of a task or a node"
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [var.trusted_principal]
    }
  }
}

data "aws_iam_policy_document" "ctverify" {
  statement {
    sid = "FindTheTrailAndItsKeys"
    actions = [
      "cloudtrail:DescribeTrails",
      "cloudtrail:GetTrail",
      "cloudtrail:GetTrailStatus",
      "cloudtrail:ListPublicKeys",
      "account:ListRegions",
      "organizations:DescribeOrganization",
      "organizations:ListAccounts",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "ListTheTrail"
    actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.trail_bucket}"]
    # S3 says that an object does not exist only to those who may list; a request for one object has no prefix.
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${var.trail_prefix}AWSLogs/*"]
    }
  }
  statement {
    sid       = "ExplainLosses"
    actions   = ["s3:GetLifecycleConfiguration"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.trail_bucket}"]
  }
  statement {
    sid       = "ReadTheTrail"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.trail_bucket}/${var.trail_prefix}AWSLogs/*"]
  }
  statement {
    sid       = "FindTheCheckpoint"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.state_bucket}"]
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = [var.state_key]
    }
  }
  statement {
    sid       = "KeepTheCheckpoint"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.state_bucket}/${var.state_key}"]
  }
}

resource "aws_iam_role" "ctverify" {
  name               = "ctverify"
  description        = "Verifies CloudTrail log files with ctverify"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "ctverify" {
  name   = "ctverify"
  role   = aws_iam_role.ctverify.id
  policy = data.aws_iam_policy_document.ctverify.json
}

output "role_arn" {
  description = "The role to run ctverify with"
  value       = aws_iam_role.ctverify.arn
}
