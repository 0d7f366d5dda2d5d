"""The wires of ccxt's venues, as their documentation has them. Data for `loopback.Double`."""

from __future__ import annotations

from typing import Any

from integrations.trading.loopback import Double, Order, Request, Venue

HEX = r"[0-9a-f]{32}"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _state(order: Order, opened: str, cancelled: str) -> str:
    return opened if order.status == "open" else cancelled


def _binance(order: Order) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "orderId": int(order.ref), "clientOrderId": order.client,
        "price": order.price, "origQty": order.amount, "executedQty": "0",
        "cummulativeQuoteQty": "0", "status": _state(order, "NEW", "CANCELED"),
        "timeInForce": "GTC", "type": "LIMIT", "side": order.side.upper(), "time": order.at,
        "updateTime": order.at,
    }  # fmt: skip


def _algo(order: Order) -> dict[str, Any]:
    if not order.stop:
        return _binance(order)
    return {
        "algoId": int(order.ref), "clientAlgoId": order.client, "algoType": "CONDITIONAL",
        "orderType": "STOP", "symbol": "BTCUSDT", "side": order.side.upper(), "timeInForce": "GTC",
        "quantity": order.amount, "algoStatus": _state(order, "NEW", "CANCELED"),
        "triggerPrice": "19500", "price": order.price, "createTime": order.at,
    }  # fmt: skip


def _bybit(order: Order) -> dict[str, Any]:
    return {
        "orderId": order.ref, "orderLinkId": order.client, "symbol": "BTCUSDT",
        "price": order.price, "qty": order.amount, "side": order.side.capitalize(),
        "orderStatus": _state(order, "New", "Cancelled"), "orderType": "Limit",
        "cumExecQty": "0", "cumExecValue": "0", "createdTime": str(order.at), "triggerPrice": "",
    }  # fmt: skip


def _bybit_page(rows: list[Any]) -> dict[str, Any]:
    result = {"category": "spot", "list": rows, "nextPageCursor": ""}
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": 1}


def _okx(order: Order) -> dict[str, Any]:
    found = {
        "instType": "SPOT", "instId": "BTCUSDT", "px": order.price, "sz": order.amount,
        "ordType": "trigger" if order.stop else "limit", "side": order.side, "accFillSz": "0",
        "state": _state(order, "live", "canceled"), "cTime": str(order.at), "uTime": str(order.at),
    }  # fmt: skip
    if order.stop:
        return {**found, "algoId": order.ref, "algoClOrdId": order.client, "triggerPx": "19500"}
    return {**found, "ordId": order.ref, "clOrdId": order.client or ""}


def _okx_page(rows: list[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows}


def _okx_created(order: Order) -> dict[str, Any]:
    ref = (
        {"algoId": order.ref, "algoClOrdId": order.client or ""}
        if order.stop
        else {"ordId": order.ref, "clOrdId": order.client or ""}
    )
    return _okx_page([{**ref, "sCode": "0", "sMsg": "", "tag": ""}])


def _coinbase(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.ref, "product_id": "BTCUSDT", "client_order_id": order.client,
        "side": order.side.upper(), "status": _state(order, "OPEN", "CANCELLED"),
        "order_configuration": {
            "limit_limit_gtc": {"base_size": order.amount, "limit_price": order.price}
        },
        "filled_size": "0", "average_filled_price": "0", "filled_value": "0",
        "created_time": "2023-11-14T22:13:20Z", "order_type": "LIMIT",
    }  # fmt: skip


def _coinbase_created(order: Order) -> dict[str, Any]:
    answer = {
        "order_id": order.ref, "product_id": "BTCUSDT", "side": order.side.upper(),
        "client_order_id": order.client,
    }  # fmt: skip
    return {
        "success": True, "success_response": answer, "order_id": order.ref,
        "order_configuration": {
            "limit_limit_gtc": {"base_size": order.amount, "limit_price": order.price}
        },
    }  # fmt: skip


def _coinbase_exchange(order: Order) -> dict[str, Any]:
    return {
        "id": order.ref, "client_oid": order.client, "price": order.price, "size": order.amount,
        "product_id": "BTCUSDT", "side": order.side, "type": "limit",
        "created_at": "2023-11-14T22:13:20.000Z", "filled_size": "0", "executed_value": "0",
        "status": _state(order, "open", "done"), "settled": False,
        "done_reason": "canceled" if order.status != "open" else None,
    }  # fmt: skip


def _kraken(order: Order) -> dict[str, Any]:
    return {
        "id": order.ref, "cl_ord_id": order.client, "userref": None,
        "status": _state(order, "open", "canceled"), "opentm": order.at / 1000,
        "descr": {
            "pair": "BTCUSDT", "type": order.side, "ordertype": "limit", "price": order.price,
            "price2": "0", "order": f"{order.side} {order.amount} BTCUSDT @ limit {order.price}",
        },
        "vol": order.amount, "vol_exec": "0", "cost": "0", "fee": "0", "price": "0",
    }  # fmt: skip


def _kraken_page(rows: list[Any]) -> dict[str, Any]:
    by_ref = {row["id"]: {k: v for k, v in row.items() if k != "id"} for row in rows}
    return {"error": [], "result": {"open": by_ref, "closed": by_ref, **by_ref}}


def _kraken_created(order: Order) -> dict[str, Any]:
    said = f"{order.side} {order.amount} BTCUSDT @ limit {order.price}"
    return {"error": [], "result": {"descr": {"order": said}, "txid": [order.ref]}}


def _kraken_futures(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.ref, "cliOrdId": order.client, "symbol": "BTCUSDT", "side": order.side,
        "orderType": "lmt", "limitPrice": 20000, "unfilledSize": 0.01, "filledSize": 0,
        "status": "untouched", "receivedTime": "2023-11-14T22:13:20.000Z", "reduceOnly": False,
        "lastUpdateTime": "2023-11-14T22:13:20.000Z",
    }  # fmt: skip


def _kraken_futures_created(order: Order) -> dict[str, Any]:
    event = {
        "type": "PLACE",
        "order": {
            "orderId": order.ref, "cliOrdId": order.client, "symbol": "BTCUSDT",
            "side": order.side, "type": "lmt", "limitPrice": 20000, "quantity": 0.01, "filled": 0,
            "timestamp": "2023-11-14T22:13:20.000Z", "reduceOnly": False,
            "lastUpdateTimestamp": "2023-11-14T22:13:20.000Z",
        },
    }  # fmt: skip
    status = {
        "order_id": order.ref, "status": "placed", "receivedTime": "2023-11-14T22:13:20.000Z",
        "orderEvents": [event], "cliOrdId": order.client,
    }  # fmt: skip
    return {"result": "success", "sendStatus": status, "serverTime": "2023-11-14T22:13:20.000Z"}


def _kucoin(order: Order) -> dict[str, Any]:
    return {
        "id": order.ref, "clientOid": order.client, "symbol": "BTCUSDT", "type": "limit",
        "side": order.side, "price": order.price, "size": order.amount, "dealSize": "0",
        "dealFunds": "0", "isActive": order.status == "open", "createdAt": order.at,
        "cancelExist": order.status != "open", "tradeType": "TRADE",
        "status": "NEW" if order.stop else None,
    }  # fmt: skip


def _kucoin_page(rows: list[Any]) -> dict[str, Any]:
    page = {"currentPage": 1, "pageSize": 50, "totalNum": len(rows), "totalPage": 1}
    return {"code": "200000", "data": {**page, "items": rows}}


def _bitget(order: Order) -> dict[str, Any]:
    return {
        "orderId": order.ref, "clientOid": order.client, "symbol": "BTCUSDT", "price": order.price,
        "size": order.amount, "orderType": "limit", "side": order.side, "baseVolume": "0",
        "status": _state(order, "live", "cancelled"), "priceAvg": "0", "quoteVolume": "0",
        "enterPointSource": "API", "cTime": str(order.at), "uTime": str(order.at),
    }  # fmt: skip


def _bitget_page(rows: list[Any]) -> dict[str, Any]:
    return {"code": "00000", "msg": "success", "requestTime": 1, "data": rows}


def _gate(order: Order) -> dict[str, Any]:
    if order.stop:
        return {
            "id": int(order.ref), "market": "BTCUSDT", "user": 1, "ctime": order.at // 1000,
            "put": {
                "type": "limit", "side": order.side, "price": order.price, "amount": order.amount,
            },
            "trigger": {"price": "19500", "rule": "<=", "expiration": 86400}, "status": "open",
        }  # fmt: skip
    return {
        "id": order.ref, "text": order.client or "apiv4", "create_time_ms": order.at,
        "status": _state(order, "open", "cancelled"), "currency_pair": "BTCUSDT", "type": "limit",
        "account": "spot", "side": order.side, "amount": order.amount, "price": order.price,
        "left": order.amount, "filled_total": "0", "fee": "0", "fee_currency": "BTC",
    }  # fmt: skip


def _gate_page(rows: list[Any]) -> Any:
    if rows and "put" in rows[0]:
        return rows
    return [{"currency_pair": "BTCUSDT", "total": len(rows), "orders": rows, **row} for row in rows]


def _htx(order: Order) -> dict[str, Any]:
    return {
        "id": int(order.ref), "client-order-id": order.client, "symbol": "btcusdt",
        "account-id": 7, "amount": order.amount, "price": order.price, "created-at": order.at,
        "type": f"{order.side}-limit", "field-amount": "0", "field-cash-amount": "0",
        "field-fees": "0", "source": "api", "state": _state(order, "submitted", "canceled"),
    }  # fmt: skip


def _cryptocom(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.ref, "client_oid": order.client, "order_type": "LIMIT",
        "side": order.side.upper(), "instrument_name": "BTCUSDT", "quantity": order.amount,
        "limit_price": order.price, "status": _state(order, "ACTIVE", "CANCELED"),
        "cumulative_quantity": "0", "cumulative_value": "0", "create_time": order.at,
        "avg_price": "0", "fee_instrument_name": "USDT", "time_in_force": "GOOD_TILL_CANCEL",
    }  # fmt: skip


def _cryptocom_page(rows: list[Any]) -> dict[str, Any]:
    return {"id": 1, "method": "", "code": 0, "result": {"data": rows}}


def _alpaca(order: Order) -> dict[str, Any]:
    return {
        "id": order.ref, "client_order_id": order.client, "symbol": "BTCUSDT",
        "created_at": "2023-11-14T22:13:20Z", "submitted_at": "2023-11-14T22:13:20Z",
        "qty": order.amount, "filled_qty": "0", "filled_avg_price": None, "order_type": "limit",
        "type": "limit", "side": order.side, "time_in_force": "gtc", "limit_price": order.price,
        "status": _state(order, "new", "canceled"),
    }  # fmt: skip


def _hyperliquid(order: Order) -> dict[str, Any]:
    return {
        "coin": "BTC", "side": "B" if order.side == "buy" else "A", "limitPx": order.price,
        "sz": order.amount, "origSz": order.amount, "oid": int(order.ref), "timestamp": order.at,
        "cloid": order.client, "orderType": "Limit", "tif": "Gtc", "reduceOnly": False,
    }  # fmt: skip


def _hyperliquid_info(venue: Venue, request: Request) -> Any:
    kind = request.said["type"]
    words = {"open": "open", "cancelled": "canceled"}
    if kind == "orderStatus":
        asked = str(request.said["oid"])
        for one in venue.orders:
            if asked in {one.ref, one.client}:
                shown = {"order": _hyperliquid(one), "status": words[one.status]}
                return {"status": "order", "order": {**shown, "statusTimestamp": one.at}}
        return {"status": "unknownOid"}
    if kind == "historicalOrders":
        return [{"order": _hyperliquid(one), "status": words[one.status],
                 "statusTimestamp": one.at} for one in venue.orders]  # fmt: skip
    if kind == "frontendOpenOrders":
        return [_hyperliquid(one) for one in venue.orders if one.status == "open"]
    return "default"  # userAbstraction


def _deribit(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.ref, "label": order.client or "", "instrument_name": "BTCUSDC",
        "direction": order.side, "order_type": "limit", "price": 20000, "amount": 0.01,
        "filled_amount": 0, "order_state": _state(order, "open", "cancelled"),
        "creation_timestamp": order.at, "average_price": 0, "time_in_force": "good_til_cancelled",
    }  # fmt: skip


def _bitstamp(order: Order) -> dict[str, Any]:
    return {
        "id": int(order.ref), "client_order_id": order.client, "currency_pair": "BTC/USDT",
        "datetime": "2023-11-14 22:13:20", "type": "0" if order.side == "buy" else "1",
        "price": order.price, "amount": order.amount, "amount_remaining": order.amount,
        "status": _state(order, "Open", "Canceled"), "transactions": [], "market": "BTC/USDT",
    }  # fmt: skip


def _woo(order: Order) -> dict[str, Any]:
    found = {
        "symbol": "BTCUSDT", "status": _state(order, "NEW", "CANCELLED"),
        "side": order.side.upper(), "quantity": 0.01, "price": 20000, "type": "LIMIT",
        "executed": 0, "totalExecutedQuantity": 0, "createdTime": str(order.at),
    }  # fmt: skip
    client = int(order.client or 0)
    if order.stop:
        return {
            **found, "algoOrderId": int(order.ref), "clientAlgoOrderId": client,
            "algoType": "STOP", "triggerPrice": 19500, "algoStatus": "NEW",
        }  # fmt: skip
    return {**found, "orderId": int(order.ref), "clientOrderId": client}


def _woo_page(rows: list[Any]) -> dict[str, Any]:
    meta = {"total": len(rows), "recordsPerPage": 25, "currentPage": 1}
    return {"success": True, "data": {"rows": rows, "meta": meta}, "timestamp": 1}


def _phemex(order: Order) -> dict[str, Any]:
    return {
        "orderID": order.ref, "clOrdID": order.client, "symbol": "BTCUSDT", "side": "Buy",
        "ordType": "Limit", "ordStatus": _state(order, "New", "Canceled"), "priceEp": 1,
        "baseQtyEv": 1, "cumBaseQtyEv": 0, "cumQuoteQtyEv": 0, "leavesBaseQtyEv": 1,
        "createTimeNs": order.at * 10**6, "timeInForce": "GoodTillCancel", "qtyType": "ByBase",
    }  # fmt: skip


def _bingx(order: Order) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "orderId": int(order.ref), "clientOrderID": order.client,
        "transactTime": order.at, "price": order.price, "origQty": order.amount,
        "executedQty": "0", "cummulativeQuoteQty": "0", "type": "LIMIT",
        "status": _state(order, "NEW", "CANCELED"), "side": order.side.upper(), "time": order.at,
    }  # fmt: skip


def _whitebit(order: Order) -> dict[str, Any]:
    return {
        "orderId": int(order.ref), "clientOrderId": order.client or "", "market": "BTCUSDT",
        "side": order.side, "type": "limit", "timestamp": order.at / 1000, "dealMoney": "0",
        "dealStock": "0", "amount": order.amount, "left": order.amount, "price": order.price,
        "dealFee": "0", "ioc": False, "status": "OPEN",
    }  # fmt: skip


def _same(row: Any) -> Any:
    return row


DOUBLES: dict[str, Double] = {
    "binance": Double(
        "BTC/USDT", r"POST /api/v3/order", "newClientOrderId", _binance, list, _binance, HEX,
        look=r"GET /api/v3/order", look_fields=("origClientOrderId",), ref_fields=("orderId",),
        lists=r"GET /api/v3/(?:openOrders|allOrders)", cancel=r"DELETE /api/v3/order", one=_same,
        missing=(400, {"code": -2013, "msg": "Order does not exist."}),
    ),
    "binanceusdm": Double(
        "BTC/USDT:USDT", r"POST /fapi/v1/order", "newClientOrderId", _algo, list, _algo, HEX,
        stop=r"POST /fapi/v1/algoOrder", stop_field="clientAlgoId",
        look=r"GET /fapi/v1/(?:order|algoOrder)", look_fields=("origClientOrderId", "clientAlgoId"),
        ref_fields=("orderId", "algoId"), cancel=r"DELETE /fapi/v1/(?:order|algoOrder)", one=_same,
        lists=r"GET /fapi/v1/(?:openOrders|allOrders|openAlgoOrders|allAlgoOrders)",
        stop_lists=r"GET /fapi/v1/.*Algo.*",
        missing=(400, {"code": -2013, "msg": "Order does not exist."}),
    ),
    "bybit": Double(
        "BTC/USDT", r"POST /v5/order/create", "orderLinkId", _bybit, _bybit_page,
        lambda o: {**_bybit_page([]), "result": {"orderId": o.ref, "orderLinkId": o.client}}, HEX,
        lists=r"GET /v5/order/(?:realtime|history)", cancel=r"POST /v5/order/cancel",
        ref_fields=("orderId",), one=lambda row: {**_bybit_page([]), "result": row},
        missing=(200, {"retCode": 170213, "retMsg": "Order does not exist.", "result": {}}),
        options={"enableUnifiedAccount": True, "enableUnifiedMargin": False,
                 "unifiedMarginStatus": 6},
    ),
    "okx": Double(
        "BTC/USDT", r"POST /api/v5/trade/(?:batch-orders|order)", "clOrdId", _okx, _okx_page,
        _okx_created, r"[0-9A-Za-z]{1,32}", stop=r"POST /api/v5/trade/order-algo",
        stop_field="algoClOrdId", look=r"GET /api/v5/trade/(?:order|order-algo)",
        look_fields=("clOrdId", "algoClOrdId"), ref_fields=("ordId", "algoId"),
        lists=r"GET /api/v5/trade/orders-.*",
        stop_lists=r"GET /api/v5/trade/orders-algo.*", cancel=r"POST /api/v5/trade/cancel-order",
        missing=(200, {"code": "51603", "msg": "Order does not exist", "data": []}),
    ),
    "coinbase": Double(
        "BTC/USDT", r"POST /api/v3/brokerage/orders", "client_order_id", _coinbase,
        lambda rows: {"orders": rows, "has_next": False, "cursor": ""}, _coinbase_created, UUID,
        replays=True,
        look=r"GET /api/v3/brokerage/orders/historical/((?!batch).+)",
        one=lambda row: {"order": row},
        lists=r"GET /api/v3/brokerage/orders/historical/batch", ref_fields=("order_ids",),
        cancel=r"POST /api/v3/brokerage/orders/batch_cancel",
        cancelled=lambda o: {"results": [{"success": True, "order_id": o.ref}]},
        missing=(404, {"error": "NOT_FOUND", "message": "order not found"}),
    ),
    "coinbaseexchange": Double(
        "BTC/USDT", r"POST /orders", "client_oid", _coinbase_exchange, list, _coinbase_exchange,
        UUID, look=r"GET /orders/(?:client:)?(.+)", lists=r"GET /orders", one=_same,
        cancel=r"DELETE /orders/(.+)", missing=(404, {"message": "NotFound"}),
    ),
    "kraken": Double(
        "BTC/USDT", r"POST /0/private/AddOrder", "cl_ord_id", _kraken, _kraken_page,
        _kraken_created, UUID, look=r"POST /0/private/QueryOrders", ref_fields=("txid",),
        lists=r"POST /0/private/(?:OpenOrders|ClosedOrders)",
        cancel=r"POST /0/private/CancelOrder", look_fields=("cl_ord_id",),
        missing=(200, {"error": ["EOrder:Unknown order"]}),
    ),
    "krakenfutures": Double(
        "BTC/USDT:USDT", r"POST /derivatives/api/v3/sendorder", "cliOrdId", _kraken_futures,
        lambda rows: {"result": "success", "openOrders": rows, "elements": [], "orders": []},
        _kraken_futures_created, UUID, ref_fields=("order_id",),
        lists=r"GET /(?:derivatives/api/v3/(?:openorders|orders/status)|api/history/.*)",
        cancel=r"POST /derivatives/api/v3/cancelorder",
        cancelled=lambda o: {"result": "success", "cancelStatus": {
            "status": "cancelled", "order_id": o.ref, "receivedTime": "2023-11-14T22:13:20.000Z",
            "orderEvents": [{"type": "CANCEL", "uid": o.ref, "order": {
                "orderId": o.ref, "cliOrdId": o.client, "type": "lmt", "symbol": "BTCUSDT",
                "side": o.side, "quantity": 0.01, "filled": 0, "limitPrice": 20000}}]}},
    ),
    "kucoin": Double(
        "BTC/USDT", r"POST /api/v1/orders", "clientOid", _kucoin, _kucoin_page,
        lambda o: {"code": "200000", "data": {"orderId": o.ref, "clientOid": o.client}}, HEX,
        stop=r"POST /api/v1/stop-order",
        look=r"GET /api/v1/(?:(?:order/client-order|orders|stop-order)/(.+))",
        look_fields=("clientOid",), one=lambda row: {"code": "200000", "data": row},
        lists=r"GET /api/v1/(?:orders|stop-order)",
        stop_lists=r"GET /api/v1/stop-order", cancel=r"DELETE /api/v1/orders/(.+)",
        missing=(400, {"code": "400100", "msg": "order not exist."}), options={"uta": False},
    ),
    "bitget": Double(
        "BTC/USDT", r"POST /api/v2/spot/trade/place-order", "clientOid", _bitget, _bitget_page,
        lambda o: {**_bitget_page([]), "data": {"orderId": o.ref, "clientOid": o.client}}, HEX,
        stop=r"POST /api/v2/spot/trade/place-plan-order",
        stop_lists=r"GET /api/v2/spot/trade/.*plan.*",
        stop_wrap=lambda rows: {**_bitget_page([]), "data": {"nextFlag": False, "orderList": rows}},
        look=r"GET /api/v2/spot/trade/orderInfo", look_fields=("clientOid",),
        ref_fields=("orderId",),
        lists=r"GET /api/v2/spot/trade/(?:unfilled|history|current|plan).*",
        also={r"GET /api/v3/account/settings": {"code": "40084", "msg": "", "data": {}}},
        cancel=r"POST /api/v2/spot/trade/cancel-order", options={"uta": False},
        missing=(200, {"code": "00000", "msg": "success", "data": []}),
    ),
    "gate": Double(
        "BTC/USDT", r"POST /api/v4/spot/orders", "text", _gate, _gate_page, _gate,
        r"t-[0-9A-Za-z._-]{1,28}", stop=r"POST /api/v4/spot/price_orders", stop_field=None,
        look=r"GET /api/v4/spot/(?:price_)?orders/(.+)", one=_same,
        lists=r"GET /api/v4/spot/(?:open_orders|orders|price_orders)",
        stop_lists=r"GET /api/v4/spot/price_orders",
        cancel=r"DELETE /api/v4/spot/(?:price_)?orders/(.+)",
        missing=(404, {"label": "ORDER_NOT_FOUND", "message": "Order not found"}),
        options={"unifiedAccount": False},
    ),
    "mexc": Double(
        "BTC/USDT", r"POST /api/v3/order", "newClientOrderId", _binance, list, _binance, HEX,
        look=r"GET /api/v3/order", look_fields=("origClientOrderId",), ref_fields=("orderId",),
        lists=r"GET /api/v3/(?:openOrders|allOrders)", cancel=r"DELETE /api/v3/order", one=_same,
        missing=(400, {"code": -2013, "msg": "Order does not exist."}),
    ),
    "htx": Double(
        "BTC/USDT", r"POST /v1/order/orders/place", "client-order-id", _htx,
        lambda rows: {"status": "ok", "data": rows},
        lambda o: {"status": "ok", "data": o.ref}, HEX,
        look=r"GET /v1/order/orders/(?:getClientOrder|(\d+))", look_fields=("clientOrderId",),
        one=lambda row: {"status": "ok", "data": row},
        lists=r"GET /v1/order/(?:openOrders|orders|history)",
        cancel=r"POST /v1/order/orders/(\d+)/submitcancel",
        missing=(200, {"status": "error", "err-code": "base-record-invalid", "err-msg": "",
                       "data": None}),
        also={r"GET /v1/account/accounts": {
            "status": "ok", "data": [{"id": 7, "type": "spot", "subtype": "", "state": "working"}],
        }},
        market={"id": "btcusdt"},
    ),
    "cryptocom": Double(
        "BTC/USDT", r"POST /exchange/v1/private/create-order", "client_oid", _cryptocom,
        _cryptocom_page,
        lambda o: {"id": 1, "code": 0, "result": {"order_id": o.ref, "client_oid": o.client}},
        UUID, look=r"POST /exchange/v1/private/get-order-detail", ref_fields=("order_id",),
        one=lambda row: {"id": 1, "code": 0, "result": row},
        lists=r"POST /exchange/v1/private/get-(?:open-orders|order-history)",
        cancel=r"POST /exchange/v1/private/cancel-order",
        missing=(400, {"id": 1, "code": 212, "message": "INVALID_ORDERID"}),
    ),
    "alpaca": Double(
        "BTC/USDT", r"POST /v2/orders", "client_order_id", _alpaca, list, _alpaca, UUID,
        look=r"GET /v2/orders/(.+)", lists=r"GET /v2/orders", one=_same,
        cancel=r"DELETE /v2/orders/(.+)",
        missing=(404, {"code": 40410000, "message": "order not found"}),
    ),
    "hyperliquid": Double(
        "BTC/USDC:USDC", r"POST /exchange", "c", _hyperliquid, list,
        lambda o: {"status": "ok", "response": {"type": "order", "data": {"statuses": [
            {"resting": {"oid": int(o.ref), "cloid": o.client}}]}}},
        r"0x[0-9a-f]{32}",
        config={"walletAddress": "0x" + "11" * 20, "privateKey": "0x" + "22" * 32},
        options={"builderFee": False, "refSet": True, "approvedBuilderFee": True},
        is_order=lambda request: request.said.get("orders") is not None,
        also={r"POST /info": _hyperliquid_info},
        cancel=r"POST /exchange", ref_fields=("o",),
        cancelled=lambda _o: {"status": "ok", "response": {"type": "cancel", "data": {
            "statuses": ["success"]}}},
        market={"baseId": 0},
    ),
    "deribit": Double(
        "BTC/USDC:USDC", r"GET /api/v2/private/(?:buy|sell)", "label", _deribit,
        lambda rows: {"jsonrpc": "2.0", "result": rows},
        lambda o: {"jsonrpc": "2.0", "result": {"order": _deribit(o), "trades": []}}, HEX,
        look=r"GET /api/v2/private/get_order_state", ref_fields=("order_id",),
        one=lambda row: {"jsonrpc": "2.0", "result": row},
        lists=r"GET /api/v2/private/get_(?:open_orders|order_history)_by_instrument",
        cancel=r"GET /api/v2/private/cancel",
        missing=(400, {"jsonrpc": "2.0", "error": {"code": 10004, "message": "order_not_found"}}),
    ),
    "bitstamp": Double(
        "BTC/USDT", r"POST /api/v2/(?:buy|sell)/.*", "client_order_id", _bitstamp, list,
        _bitstamp, UUID, look=r"POST /api/v2/order_status/", look_fields=("client_order_id",),
        ref_fields=("id",), lists=r"POST /api/v2/open_orders/.*", one=_same,
        cancel=r"POST /api/v2/cancel_order/",
        missing=(404, {"status": "error", "reason": "Order not found.", "code": "Order not found"}),
    ),
    "woo": Double(
        "BTC/USDT", r"POST /v3/trade/order", "clientOrderId", _woo, _woo_page,
        lambda o: {"success": True, "timestamp": 1, "data": (
            {"rows": [_woo(o)]} if o.stop else _woo(o))}, r"[0-9]{1,19}",
        stop=r"POST /v3/trade/algoOrder", stop_field="clientAlgoOrderId",
        look=r"GET /v3/trade/(?:order|algoOrder)", look_fields=("clientOrderId",
                                                                 "clientAlgoOrderId"),
        ref_fields=("orderId", "algoOrderId", "oid"),
        one=lambda row: {"success": True, "data": row, "timestamp": 1},
        lists=r"GET /v3/trade/(?:orders|algoOrders)", stop_lists=r"GET /v3/trade/algoOrders",
        cancel=r"DELETE /v3/trade/(?:order|algoOrder)",
        cancelled=lambda _o: {"success": True, "data": {"status": "CANCEL_SENT"}},
        missing=(400, {"success": False, "code": 302129, "message": "The order doesn't exist."}),
    ),
    "phemex": Double(
        "BTC/USDT", r"(?:POST|PUT) /spot/orders(?:/create)?", "clOrdID", _phemex,
        lambda rows: {"code": 0, "msg": "", "data": {"rows": rows, "total": len(rows)}},
        lambda o: {"code": 0, "msg": "", "data": _phemex(o)}, UUID,
        look=r"GET /api-data/spots/orders/by-order-id", look_fields=("clOrdID",),
        ref_fields=("orderID",), one=lambda row: {"code": 0, "msg": "OK", "data": {"rows": [row]}},
        lists=r"GET /(?:spot/orders|exchange/spot/order|api-data/spots/orders)",
        missing=(200, {"code": 0, "msg": "OK", "data": {"rows": []}}),
        market={"priceScale": 8, "valueScale": 8, "ratioScale": 8},
        cancel=r"DELETE /spot/orders", cancelled=lambda o: {"code": 0, "data": _phemex(o)},
    ),
    "bingx": Double(
        "BTC/USDT", r"POST /openApi/spot/v1/trade/order", "newClientOrderId", _bingx,
        lambda rows: {"code": 0, "msg": "", "data": {"orders": rows}},
        lambda o: {"code": 0, "msg": "", "data": _bingx(o)}, HEX,
        lists=r"GET /openApi/spot/v1/trade/(?:openOrders|historyOrders)",
        look=r"GET /openApi/spot/v1/trade/query", ref_fields=("orderId",),
        one=lambda row: {"code": 0, "msg": "", "data": row},
        cancel=r"POST /openApi/spot/v1/trade/cancel",
        missing=(200, {"code": 100414, "msg": "order not exist"}),
    ),
    "whitebit": Double(
        "BTC/USDT", r"POST /api/v4/order/(?:new|stock_market|market|stop_limit|stop_market)",
        "clientOrderId", _whitebit, list, _whitebit, UUID,
        lists=r"POST /api/v4/orders",
        also={r"POST /api/v4/trade-account/order/history": {}},
        cancel=r"POST /api/v4/order/cancel", ref_fields=("orderId",), one=_same,
    ),
}  # fmt: skip
