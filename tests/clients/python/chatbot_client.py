"""The Python client that seed 002 prints, with the host and the token from outside."""

import asyncio
import json
import sys
from websockets import connect

async def chatbot_client(host: str, conversation_id: str, token: str):
    uri = f"ws://{host}/api/v1/conversations/{conversation_id}/ws"

    async with connect(uri, extra_headers={"Cookie": f"lykke_auth={token}"}) as ws:
        # Receive connection ack
        ack = json.loads(await ws.recv())
        print(f"Connected: {ack}")

        # Send message
        await ws.send(json.dumps({
            "type": "user_message",
            "content": "Hello bot!"
        }))

        # Receive responses
        async for message in ws:
            data = json.loads(message)

            if data["type"] == "assistant_message":
                msg = data["message"]
                print(f"\nAssistant: {msg['content']}")
                print(f"Message ID: {msg['id']}")
                break

asyncio.run(chatbot_client(*sys.argv[1:]))
