// The definitions of the Gateway API that tests install, pinned by go.sum.
module slipway.test/gateway-api

go 1.26.0

require sigs.k8s.io/gateway-api v1.6.3
