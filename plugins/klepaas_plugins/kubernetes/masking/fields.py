"""What each field of a built-in kind holds: nothing secret, a name, a text, or a value that is judged by its name.

The table goes by the field's name, wherever it stands (`image` is every path that ends so), or by its name and that of
the field around it (`tolerations.value`; for the first level the kind: `Secret.data`). A field that holds a map stands
for all that is below it. Numbers and booleans need no entry. Tests hold it against the OpenAPI of Kubernetes: every
path of a built-in kind is found here, and no entry is without a path.
"""

import enum
from collections.abc import Mapping
from typing import Any, Final

from klepaas.output.masking.name_words import words

__all__ = ["KINDS", "PATHS", "Content", "content_of", "is_built_in"]


class Content(enum.Enum):
    """What a field holds.

    Attributes:
        PLAIN: An enumeration, a label, a selector, a quantity, a time: shown as it is.
        NAME: The name or the address of something: shown without the password of an address.
        TEXT: Prose, an expression: judged by its pattern.
        ENVIRONMENT: Variables, each judged by its name and form.
        ARGUMENTS: A command line.
        HEADERS: A list of names and values.
        OPTIONS: A map of values, each judged by its key and form.
        ANNOTATIONS: A map of texts, each judged by its key and form; copies of the object are left out.
        BYTES: A map of bytes in base64 that are not shown.
        SECRET: A map of secrets in base64, or as they are; never shown.
        OBJECT: An object, or the values of one.
        SCHEMA: A schema, which names fields and fills none.
        SERVER: The server's own accounts, which nobody reads; left out.
    """

    PLAIN = "plain"
    NAME = "name"
    TEXT = "text"
    ENVIRONMENT = "environment"
    ARGUMENTS = "arguments"
    HEADERS = "headers"
    OPTIONS = "options"
    ANNOTATIONS = "annotations"
    BYTES = "bytes"
    SECRET = "secret"  # noqa: S105
    OBJECT = "object"
    SCHEMA = "schema"
    SERVER = "server"


_TABLE: Final = {
    # Labels and selectors, then the places of the scheduler, then amounts, times, versions and enumerations.
    Content.PLAIN: """
        labels matchLabels matchLabelExpressions matchExpressions matchFields matchLabelKeys mismatchLabelKeys
        nodeSelector selector rawSelector labelSelectorPath topologyKey tolerations taints.key taints.value
        taints.effect
        deprecatedTopology items.key requirements.key requirements.operator requirements.values

        allocatable allocatedResources allocatedResourceStatuses averageValue capacity current.value
        target.value default defaultRequest divisor hard limits max maxLimitRequestRatio maxSurge maxUnavailable
        min minAvailable overhead requests nodeAllocatableResourceClaimStatuses.resources sizeLimit tolerance used

        acquireTime completionTime creationTimestamp deletionTimestamp eventTime finishedAt firstTimestamp
        lastHeartbeatTime lastObservedTime lastPhaseTransitionTime lastProbeTime lastScaleTime lastScheduleTime
        lastSuccessfulTime lastTimestamp lastTransitionTime lastUpdateTime renewTime schedule startTime startedAt time
        timeAdded timeZone

        apiGroup apiGroups apiVersion apiVersions bootID caBundle cidr clusterIP clusterIPs completedIndexes
        containerID uncountedTerminatedPods.failed uncountedTerminatedPods.succeeded
        containerRuntimeVersion conversionReviewVersions datasetUUID disruptedPods enum except externalIPs failedIndexes
        finalizers forZones hostIP imageID ip kernelVersion kind kubeProxyVersion kubeletVersion
        loadBalancerIP loadBalancerSourceRanges machineID osImage podCIDR podCIDRs podIP port providerID
        resourceVersion storedVersions succeededIndexes systemUUID targetPort uid version

        accessModes action add addressType appProtocol architecture cachingMode categories completionMode
        concurrencyPolicy conditionType declaredFeatures dnsPolicy drop dryRun effect externalTrafficPolicy
        failurePolicy fieldsType format fsGroupChangePolicy fsType fullyLabeledReplicas health imagePullPolicy
        internalTrafficPolicy ipFamilies ipFamilyPolicy ipMode keyType matchPolicy medium mountPropagation
        nodeAffinityPolicy nodeTaintsPolicy operatingSystem operation operations operator parameterNotFoundAction
        pathType persistentVolumeReclaimPolicy phase podManagementPolicy podReplacementPolicy policyTypes
        preemptionPolicy procMount propagationPolicy protocol pullPolicy qosClass reclaimPolicy recursiveReadOnly
        resize restartPolicy scope scopes seLinuxChangePolicy selectPolicy sessionAffinity conditions.status
        modifyVolumeStatus.status onPodConditions.status subresources.status stopSignal storageMode strategy.type
        spec.strategy conversion.strategy supplementalGroupsPolicy terminationMessagePolicy trafficDistribution type
        unhealthyPodEvictionPolicy validationActions verb verbs volumeBindingMode volumeMode whenDeleted whenScaled
        whenUnsatisfiable
    """,
    # Of objects, of accounts, of places in a network or a file system.
    Content.NAME: """
        name generateName namespace names namespaces key group plural singular shortNames listKind
        address addresses audience certificateChainPath claimName component container containerName containers
        controller credentialBundlePath currentRevision currentVolumeAttributesClassName datasetName devicePath
        directory diskName diskURI driver endpoints endpointsNamespace externalID externalName
        expressionWarnings.fieldRef
        fieldPath gateway grpc.service gmsaCredentialSpecName holderIdentity host hostname hostnameOverride
        hostnames hosts
        image imageRef ingressClassName initiatorName iqn iscsiInterface jsonPath keyPath keyring
        kubeletConfigKey level loadBalancerClass localhostProfile managedBy manager monitors mountPath
        nameservers nodeName nominatedNodeName nonResourceURLs path pdID pdName podGroupName policyName pool portals
        preferredHolder prefix priorityClassName protectionDomain provisioner reason reference registry
        reportingComponent reportingInstance repository request requestName resource resourceClaimName
        resourceClaimTemplateName resourceID resourceName resourceNames resources revision role runAsUserName
        runtimeClassName schedulerName scheme scopeName searches secretFile secretName secretNamespace selfLink server
        serviceAccount serviceAccountName serviceName shareName signerName specReplicasPath statusReplicasPath
        storageClassName storagePolicyID storagePolicyName storagePool subPath subPathExpr subdomain
        subresource system targetContainerName targetPortal targetVolumeAttributesClassName targetWWNs tenant
        terminationMessagePath updateRevision url user volume volumeAttributesClassName
        volumeHandle volumeID volumeName volumeNamespace volumePath volumesInUse workingDir wwids zone
    """,
    Content.TEXT: """
        deprecationWarning description error evaluationError example expression gmsaCredentialSpec message
        messageExpression options.value rule sysctls.value title valueExpression warning
    """,
    Content.ENVIRONMENT: "env",
    Content.ARGUMENTS: "args command mountOptions",
    Content.HEADERS: "httpHeaders",
    Content.OPTIONS: "ConfigMap.data StorageClass.parameters flexVolume.options volumeAttributes",
    Content.ANNOTATIONS: "annotations userAnnotations",
    Content.BYTES: "ConfigMap.binaryData",
    Content.SECRET: "Secret.data Secret.stringData",
    Content.OBJECT: "ControllerRevision.data",
    Content.SCHEMA: "openAPIV3Schema",
    Content.SERVER: "managedFields",
}
PATHS: Final[Mapping[str, Content]] = {path: content for content, paths in _TABLE.items() for path in words(paths)}
KINDS: Final = words("""
    ConfigMap ControllerRevision CronJob CustomResourceDefinition DaemonSet Deployment EndpointSlice Endpoints
    Event Eviction HorizontalPodAutoscaler Ingress IngressClass Job Lease LimitRange Namespace NetworkPolicy
    Node PersistentVolume PersistentVolumeClaim Pod PodDisruptionBudget ClusterRole ClusterRoleBinding Role
    RoleBinding ReplicaSet ResourceQuota Scale Secret SelfSubjectAccessReview Service ServiceAccount
    StatefulSet StorageClass ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding PodTemplate
    ReplicationController
""")
_GROUPS = frozenset({"apps", "batch", "autoscaling", "policy", "extensions"})


def is_built_in(api_version: Any, kind: str) -> bool:
    """Whether the table knows a kind.

    Args:
        api_version: As the object says it. None, as for the items of a list: the kind alone decides.
        kind: The kind.
    """
    if kind not in KINDS or not isinstance(api_version, str | None):
        return False
    group = (api_version or "").rpartition("/")[0]
    return not group or group in _GROUPS or group.endswith(".k8s.io")


def content_of(parent: str, field: str) -> Content | None:
    """What a field of a built-in kind holds; None for one that holds other fields, or that the table does not know.

    Args:
        parent: The field that it stands in, without positions in lists; the kind on the first level.
        field: Its name.
    """
    return PATHS.get(f"{parent}.{field}") or PATHS.get(field)
