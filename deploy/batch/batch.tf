# The resources for verifying one trail on many machines: a role each for the plan, the shards and the merge, and, where a VPC is given, an
# AWS Batch queue on Fargate with a job definition for each of them. ./run.sh runs them.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

variable "name" {
  type        = string
  default     = "ctverify"
  description = "The name of the queue, and what the names of the job definitions and roles begin with"
}

variable "trail_arn" {
  type        = string
  description = "The trail"
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

variable "trail_key_arn" {
  type        = string
  default     = ""
  description = "The KMS key that log files are encrypted with; empty for none"
}

variable "state_bucket" {
  type        = string
  description = "The bucket that holds plans, results and reports; not the trail's"
}

variable "state_prefix" {
  type        = string
  default     = "ctverify/"
  description = "The key prefix before plans/, results/ and reports/, with a slash at its end; empty for none"
}

variable "trusted_service" {
  type        = string
  default     = "ecs-tasks.amazonaws.com"
  description = "The service whose tasks or pods run ctverify: ecs-tasks.amazonaws.com, which AWS Batch needs, pods.eks.amazonaws.com, or empty for none"
}

variable "oidc_provider_arn" {
  type        = string
  default     = ""
  description = "The OIDC provider of a cluster with roles for service accounts"
}

variable "oidc_issuer" {
  type        = string
  default     = "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE"
  description = "That provider's issuer, without https://"
}

variable "oidc_subject" {
  type        = string
  default     = ""
  description = "Whose tokens are taken, such as system:serviceaccount:audit:ctverify; each role adds -plan, -shard or -merge to it"
}

variable "vpc_id" {
  type        = string
  default     = ""
  description = "The VPC of the jobs; empty for the roles alone, for Kubernetes"
}

variable "subnets" {
  type        = list(string)
  default     = []
  description = "Its subnets, with a way to S3, CloudTrail, CloudWatch Logs and the image"
}

variable "public_ip" {
  type        = string
  default     = "DISABLED"
  description = "Whether jobs have public addresses, which public subnets need: DISABLED or ENABLED"
}

variable "image" {
  type        = string
  default     = "111122223333.dkr.ecr.us-east-1.amazonaws.com/ctverify:0.1.0"
  description = "An image made with ../container/Dockerfile, in ECR of this account; best named by its digest (@sha256:…)"
}

variable "architecture" {
  type        = string
  default     = "X86_64"
  description = "The architecture that the image is built for: X86_64 or ARM64"
}

variable "capacity" {
  type        = string
  default     = "FARGATE_SPOT"
  description = "Whether jobs run on spare capacity, which is cheaper and may be taken away: FARGATE_SPOT or FARGATE"
}

variable "max_vcpus" {
  type        = number
  default     = 64
  description = "How many shards run at once, at one vCPU each"
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  trail    = "arn:${data.aws_partition.current.partition}:s3:::${var.trail_bucket}"
  state    = "arn:${data.aws_partition.current.partition}:s3:::${var.state_bucket}"
  url      = "s3://${var.state_bucket}/${var.state_prefix}"
  on_batch = var.vpc_id != "" && length(var.subnets) > 0

  jobs = {
    plan = {
      command    = ["plan", "--trail-arn", "Ref::trail", "--start", "Ref::start", "--output", "Ref::plan", "--format", "json"]
      parameters = { trail = var.trail_arn, start = "365d", plan = "${local.url}plans/run" }
      memory     = "8192"
      timeout    = 21600
    }
    # Submitted as an array: each child verifies the units that its index names.
    shard = {
      command    = ["shard", "--plan", "Ref::plan", "--index-from-env", "--units-per-index", "Ref::each", "--output", "Ref::results", "--quiet"]
      parameters = { plan = "${local.url}plans/run/manifest.json", results = "${local.url}results/run", each = "1" }
      memory     = "2048"
      timeout    = 14400
    }
    merge = {
      command = ["merge", "--plan", "Ref::plan", "--results", "Ref::results", "--report", "Ref::text", "--report", "Ref::html"]
      parameters = {
        plan    = "${local.url}plans/run/manifest.json"
        results = "${local.url}results/run"
        html    = "html=${local.url}reports/run/report.html"
        text    = "text=${local.url}reports/run/report.txt"
      }
      memory  = "4096"
      timeout = 21600
    }
  }
}

data "aws_iam_policy_document" "assume" {
  for_each = local.jobs
  dynamic "statement" {
    for_each = var.trusted_service == "" ? [] : [var.trusted_service]
    content {
      actions = ["sts:AssumeRole", "sts:TagSession"]
      principals {
        type        = "Service"
        identifiers = [statement.value]
      }
    }
  }
  dynamic "statement" {
    for_each = var.oidc_provider_arn == "" ? [] : [var.oidc_provider_arn]
    content {
      actions = ["sts:AssumeRoleWithWebIdentity"]
      principals {
        type        = "Federated"
        identifiers = [statement.value]
      }
      condition {
        test     = "StringEquals"
        variable = "${var.oidc_issuer}:aud"
        values   = ["sts.amazonaws.com"]
      }
      condition {
        test     = "StringEquals"
        variable = "${var.oidc_issuer}:sub"
        values   = ["${var.oidc_subject}-${each.key}"]
      }
    }
  }
}

data "aws_iam_policy_document" "trail" {
  statement {
    sid       = "ListTheTrail"
    actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
    resources = [local.trail]
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
    resources = [local.trail]
  }
  statement {
    sid       = "ReadTheTrail"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.trail}/${var.trail_prefix}AWSLogs/*"]
  }
  dynamic "statement" {
    for_each = var.trail_key_arn == "" ? [] : [var.trail_key_arn]
    content {
      sid       = "DecryptTheTrail"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        values   = ["s3.*"]
      }
    }
  }
}

data "aws_iam_policy_document" "plan" {
  source_policy_documents = [data.aws_iam_policy_document.trail.json]
  statement {
    sid = "FindTheTrailAndItsKeys"
    actions = [
      "cloudtrail:DescribeTrails",
      "cloudtrail:GetTrail",
      "cloudtrail:GetTrailStatus",
      "cloudtrail:ListPublicKeys",
      "account:ListRegions",
      "organizations:ListAccounts",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "FindThePlan"
    actions   = ["s3:ListBucket"]
    resources = [local.state]
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${var.state_prefix}plans/*"]
    }
  }
  statement {
    sid       = "WriteThePlan"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.state}/${var.state_prefix}plans/*"]
  }
}

# A plan holds the public keys and what CloudTrail says of the trail, so that shards ask S3 alone.
data "aws_iam_policy_document" "shard" {
  source_policy_documents = [data.aws_iam_policy_document.trail.json]
  statement {
    sid       = "FindPlanAndResults"
    actions   = ["s3:ListBucket"]
    resources = [local.state]
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${var.state_prefix}plans/*", "${var.state_prefix}results/*"]
    }
  }
  statement {
    sid       = "ReadThePlan"
    actions   = ["s3:GetObject"]
    resources = ["${local.state}/${var.state_prefix}plans/*"]
  }
  statement {
    sid       = "WriteTheResults"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.state}/${var.state_prefix}results/*"]
  }
}

# The merge reads what no unit has read, which is rare.
data "aws_iam_policy_document" "merge" {
  source_policy_documents = [data.aws_iam_policy_document.trail.json]
  statement {
    sid       = "FindPlanResultsAndReports"
    actions   = ["s3:ListBucket"]
    resources = [local.state]
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${var.state_prefix}plans/*", "${var.state_prefix}results/*", "${var.state_prefix}reports/*"]
    }
  }
  statement {
    sid       = "ReadPlanAndResults"
    actions   = ["s3:GetObject"]
    resources = ["${local.state}/${var.state_prefix}plans/*", "${local.state}/${var.state_prefix}results/*"]
  }
  statement {
    sid       = "WriteTheReports"
    actions   = ["s3:PutObject"]
    resources = ["${local.state}/${var.state_prefix}reports/*"]
  }
}

resource "aws_iam_role" "job" {
  for_each           = local.jobs
  name               = "${var.name}-${each.key}"
  description        = "The ${each.key} of a verification with ctverify"
  assume_role_policy = data.aws_iam_policy_document.assume[each.key].json
}

resource "aws_iam_role_policy" "job" {
  for_each = {
    plan  = data.aws_iam_policy_document.plan.json
    shard = data.aws_iam_policy_document.shard.json
    merge = data.aws_iam_policy_document.merge.json
  }
  name   = "ctverify"
  role   = aws_iam_role.job[each.key].id
  policy = each.value
}

data "aws_iam_policy_document" "assume_execution" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "LogInToTheRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }
  statement {
    sid       = "PullTheImage"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = ["arn:${data.aws_partition.current.partition}:ecr:*:${data.aws_caller_identity.current.account_id}:repository/*"]
  }
  statement {
    sid       = "WriteTheLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [for log in aws_cloudwatch_log_group.ctverify : "${log.arn}:*"]
  }
}

# The role with which ECS starts a job; ctverify does not run with it.
resource "aws_iam_role" "execution" {
  count              = local.on_batch ? 1 : 0
  name               = "${var.name}-execution"
  description        = "Starts jobs of ctverify"
  assume_role_policy = data.aws_iam_policy_document.assume_execution.json
}

resource "aws_iam_role_policy" "execution" {
  count  = local.on_batch ? 1 : 0
  name   = "ctverify"
  role   = aws_iam_role.execution[0].id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_cloudwatch_log_group" "ctverify" {
  count             = local.on_batch ? 1 : 0
  name              = "/${var.name}/batch"
  retention_in_days = 90
}

# Nothing reaches the jobs, and they reach HTTPS alone.
resource "aws_security_group" "ctverify" {
  count       = local.on_batch ? 1 : 0
  name_prefix = "${var.name}-"
  description = "Jobs of ctverify"
  vpc_id      = var.vpc_id
  egress {
    description = "AWS"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_batch_compute_environment" "ctverify" {
  count = local.on_batch ? 1 : 0
  type  = "MANAGED"
  compute_resources {
    type               = var.capacity
    max_vcpus          = var.max_vcpus
    subnets            = var.subnets
    security_group_ids = [aws_security_group.ctverify[0].id]
  }
}

resource "aws_batch_job_queue" "ctverify" {
  count    = local.on_batch ? 1 : 0
  name     = var.name
  state    = "ENABLED"
  priority = 1
  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.ctverify[0].arn
  }
}

resource "aws_batch_job_definition" "ctverify" {
  for_each              = { for step, job in local.jobs : step => job if local.on_batch }
  name                  = "${var.name}-${each.key}"
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  propagate_tags        = true
  parameters            = each.value.parameters
  # Each job is made again if it had no machine or lost it, if it was interrupted (exit code 130), or if it failed for want of AWS or the
  # network (4). A wrong command line or plan (2) and a verdict (1, 3) would come out the same.
  retry_strategy {
    attempts = 5
    evaluate_on_exit {
      on_status_reason = "Your Spot Task was interrupted*"
      action           = "RETRY"
    }
    evaluate_on_exit {
      on_status_reason = "Task failed to start*"
      action           = "RETRY"
    }
    evaluate_on_exit {
      on_exit_code = "130"
      action       = "RETRY"
    }
    evaluate_on_exit {
      on_exit_code = "4"
      action       = "RETRY"
    }
    evaluate_on_exit {
      on_reason = "*"
      action    = "EXIT"
    }
  }
  timeout {
    attempt_duration_seconds = each.value.timeout
  }
  container_properties = jsonencode({
    image                  = var.image
    command                = each.value.command
    jobRoleArn             = aws_iam_role.job[each.key].arn
    executionRoleArn       = aws_iam_role.execution[0].arn
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    # The evidence of a unit is kept there until its result is written.
    volumes     = [{ name = "tmp" }]
    mountPoints = [{ sourceVolume = "tmp", containerPath = "/tmp" }]
    resourceRequirements = [
      { type = "VCPU", value = "1" },
      { type = "MEMORY", value = each.value.memory },
    ]
    environment                  = [{ name = "CTVERIFY_LOG_FORMAT", value = "json" }]
    runtimePlatform              = { operatingSystemFamily = "LINUX", cpuArchitecture = var.architecture }
    fargatePlatformConfiguration = { platformVersion = "LATEST" }
    networkConfiguration         = { assignPublicIp = var.public_ip }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.ctverify[0].name
        awslogs-stream-prefix = each.key
      }
    }
  })
}

output "role_arns" {
  description = "The roles to plan, to verify units and to merge with"
  value       = { for step, role in aws_iam_role.job : step => role.arn }
}
